"""What a finished run leaves: its figures, lists and notes, written into a folder whose layout the tracking server shows.

    figures/            learning curves, and for each split that was measured a folder of figures
    predictions/        for each such split the probabilities of every image
    accuracy/           for each such split the accuracy by source and by century
    samples/            for each split the images that were used
    environment/        packages, machine
    weights/            the network for torch

The bundle lies beside them in `bundle/`.
"""

import csv
import json
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from inference.bundle import Bundle
from training import plots
from training.contact_sheet import contact_sheet
from training.data import DataSet
from training.environment import installed_packages, system
from training.evaluate import Evaluation

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WEIGHTS = "model.safetensors"


@dataclass(frozen=True, slots=True)
class Outcome:
    """A finished training: the bundle, what it was made from, and its calibrated answers on validation and test.

    `weights` is a safetensors file, `target_error` what the review threshold was chosen for.
    """

    bundle: Bundle
    data_set: DataSet
    evaluations: Mapping[str, Evaluation]
    target_error: float
    weights: Path | None = None


def write_record(outcome: Outcome, history: Sequence[Mapping[str, float]], directory: Path) -> None:
    """Write everything that a run keeps beside its bundle into `directory`; `history` has what each epoch measured."""
    labels = outcome.bundle.manifest.labels
    for split, samples in outcome.data_set.items():
        rows = ((s.name, labels[s.target], s.group, s.source, s.sha256) for s in samples)
        _write_csv(directory / "samples" / f"{split}.csv", ("file", "label", "group", "source", "sha256"), rows)
    for split, evaluation in outcome.evaluations.items():
        _write_predictions(directory / "predictions" / f"{split}.csv", evaluation, labels)
        _write_accuracy(directory / "accuracy" / f"{split}_by_source.csv", evaluation.accuracy_by_source())
        _write_accuracy(directory / "accuracy" / f"{split}_by_century.csv", evaluation.accuracy_by_century())
        _write_figures(directory / "figures" / split, _figures(outcome, evaluation, split))
        contact_sheet(outcome.bundle, evaluation, split).save(directory / "figures" / split / "worst_mistakes.png")
    if history:
        _write_figures(directory / "figures", {"learning_curves": plots.learning_curves(history)})
    _write_environment(directory / "environment")
    if outcome.weights is not None:
        (directory / "weights").mkdir(parents=True)
        shutil.copyfile(outcome.weights, directory / "weights" / WEIGHTS)


def _figures(outcome: Outcome, evaluation: Evaluation, split: str) -> "dict[str, Figure]":
    manifest = outcome.bundle.manifest
    threshold, target_error = manifest.review_threshold, outcome.target_error
    return {
        "confusion_matrix": plots.confusion(evaluation, manifest.labels, split),
        "roc": plots.roc(evaluation, manifest.labels, split),
        "precision_recall": plots.precision_recall(evaluation, manifest.labels, split),
        "reliability": plots.reliability_diagram(evaluation, split),
        "risk_coverage": plots.risk_coverage_curve(evaluation, split, threshold=threshold, target_error=target_error),
        "accuracy_by_source": plots.source_accuracy(evaluation, split),
    }


def _write_figures(directory: Path, figures: "Mapping[str, Figure]") -> None:
    directory.mkdir(parents=True, exist_ok=True)
    for name, figure in figures.items():
        figure.savefig(directory / f"{name}.png")


def _write_predictions(path: Path, evaluation: Evaluation, labels: Sequence[str]) -> None:
    rows = (
        (sample.name, labels[sample.target], *(f"{probability:.6f}" for probability in row))
        for sample, row in zip(evaluation.samples, evaluation.probabilities, strict=True)
    )
    _write_csv(path, ("file", "truth", *labels), rows)


def _write_accuracy(path: Path, groups: Mapping[str, Mapping[str, float]]) -> None:
    rows = ((name, str(found["images"]), f"{found['accuracy']:.4f}") for name, found in groups.items())
    _write_csv(path, (path.stem.rpartition("_")[2], "images", "accuracy"), rows)


def _write_csv(path: Path, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)


def _write_environment(directory: Path) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "requirements.txt").write_text("\n".join(installed_packages()) + "\n", encoding="utf-8")
    (directory / "system.json").write_text(json.dumps(system(), indent=2) + "\n", encoding="utf-8")
