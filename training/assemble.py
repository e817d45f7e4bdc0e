"""Make a bundle of a trained network: export it, let the graphs prove themselves, calibrate, measure, write the manifest.

Everything is decided on training and validation; the test split is looked at once, at the end, and decides nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from inference.bundle import Bundle, DataNote, Manifest
from inference.look import Look, measure
from inference.preprocess import Pixels, Prepared
from training.calibration import fit_temperature, review_threshold
from training.config import TrainingConfig
from training.data import DataSet, Sample, decoded, draw, fingerprint
from training.envelope import fit_envelope, fit_familiar
from training.evaluate import Evaluation, Served, served_answers, targets_of
from training.export import export_graph, quantize_graph
from training.features import trained_features
from training.gates import check_cam, check_parity, quantization_objection
from training.golden import GOLDEN_NAME, golden_of_file, golden_of_samples
from training.manifest import FULL, QUANTIZED, write_manifest
from training.metrics import accuracy
from training.model import ServingModel
from training.progress import Stage
from training.typewriting import learn_typewriting

_PROVING_IMAGES = 8


@dataclass(frozen=True, slots=True)
class Candidate:
    """A bundle, and its calibrated answers on validation and test."""

    bundle: Bundle
    evaluations: Mapping[str, Evaluation]


@dataclass(frozen=True, slots=True)
class _Chosen:
    """The graph to serve, what it says of validation at temperature 1, and how that was decided."""

    serve: str
    answers: Served
    notes: Mapping[str, Any]


def assemble(
    model: ServingModel,
    data_set: DataSet,
    config: TrainingConfig,
    directory: Path,
    *,
    cache: Path,
    notes: Mapping[str, Any],
    stage: Stage,
) -> Candidate:
    """Write a bundle of `model` into `directory`; `cache` keeps features of a frozen trunk. The model learns what is familiar,
    and how typewriting looks.

    Raises a `GateError` if the full-precision graph is not the network.
    """
    directory.mkdir(parents=True, exist_ok=True)
    known = draw(data_set["train"], config.familiar_images, config.seed)
    images, looks = _look_at(known, config)
    advance = stage("what is familiar", len(known))
    model.familiar = fit_familiar(trained_features(model, known, config, cache=cache, advance=advance))
    model.typewriting = learn_typewriting(model, known, config, stage=stage)
    export_graph(model, directory / FULL, config.input_spec)
    draft = _draft(data_set, config, directory)
    proofs = _prove(model, write_manifest(directory, draft), images)
    chosen = _choose_graph(directory, draft, images, data_set["validation"], config, stage)
    calibrated, validation = _calibrate(draft, chosen, data_set["validation"], config)
    envelope = fit_envelope(looks, chosen.answers)
    finished = _with_golden(directory, calibrated.model_copy(update={"envelope": envelope}), validation, config)
    metrics, test = _measure(directory, finished, chosen.answers, validation, data_set["test"], config, stage)
    complete = finished.model_copy(update={"metrics": metrics, "notes": {**notes, **proofs, **chosen.notes}})
    return Candidate(write_manifest(directory, complete), {"validation": validation, "test": test})


def _draft(data_set: DataSet, config: TrainingConfig, directory: Path) -> Manifest:
    (directory / GOLDEN_NAME).unlink(missing_ok=True)
    return Manifest(
        name=directory.name,
        labels=config.labels,
        input=config.input_spec,
        temperature=1.0,
        review_threshold=1.0,
        serve=FULL,
        files={},
        data=DataNote(
            name=config.data.name,
            images={split: len(samples) for split, samples in data_set.items()},
            fingerprints={split: fingerprint(samples) for split, samples in data_set.items()},
        ),
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def _look_at(samples: Sequence[Sample], config: TrainingConfig) -> tuple[list[Pixels], list[Look]]:
    """The pixels of the first of `samples`, to calibrate by, and how all of them look: the pixels of all fill a GiB."""
    images: list[Pixels] = []
    looks: list[Look] = []
    for sample in samples:
        page = Prepared.of(decoded(sample.read(), config.input_spec), config.input_spec)
        looks.append(measure(page))
        if len(images) < config.calibration_images:
            images.append(page.pixels)
    return images, looks


def _prove(model: ServingModel, bundle: Bundle, images: Sequence[Pixels]) -> dict[str, float]:
    proving = images[:_PROVING_IMAGES]
    return {
        "largest_difference_to_torch": check_parity(model, bundle, proving),
        "largest_difference_to_grad_cam": check_cam(model, bundle, proving),
    }


def _ask(
    directory: Path, manifest: Manifest, graph: str, samples: Sequence[Sample], config: TrainingConfig, stage: Stage
) -> Served:
    """What a bundle with `manifest` says of `samples` when it serves `graph`."""
    write_manifest(directory, manifest.model_copy(update={"serve": graph}))
    advance = stage(f"{graph} on {len(samples)} images", len(samples))
    return served_answers(directory, samples, processes=config.processes, advance=advance)


def _choose_graph(
    directory: Path,
    draft: Manifest,
    images: Sequence[Pixels],
    samples: Sequence[Sample],
    config: TrainingConfig,
    stage: Stage,
) -> _Chosen:
    """The 8-bit graph with as few convolutions in floating point as its gate demands; the full one, if it never passes."""
    targets = targets_of(samples)
    full = _ask(directory, draft, FULL, samples, config, stage)
    for float_convolutions in config.float_convolutions:
        quantize_graph(directory / FULL, directory / QUANTIZED, images, float_convolutions=float_convolutions)
        quantized = _ask(directory, draft, QUANTIZED, samples, config, stage)
        objection = quantization_objection(full.probabilities, quantized.probabilities, targets)
        notes = {
            "float_convolutions": float_convolutions,
            "validation_agreement_of_quantized": accuracy(quantized.probabilities, full.probabilities.argmax(axis=1)),
            "quantized_left_out_because": objection,
        }
        if objection is None:
            return _Chosen(QUANTIZED, quantized, notes)
    (directory / QUANTIZED).unlink()
    return _Chosen(FULL, full, notes)


def _calibrate(
    draft: Manifest, chosen: _Chosen, samples: Sequence[Sample], config: TrainingConfig
) -> tuple[Manifest, Evaluation]:
    """Temperature and review threshold, and validation as it is answered with them."""
    answers = Evaluation(samples, chosen.answers.probabilities)
    temperature = fit_temperature(answers.probabilities, answers.targets)
    calibrated = answers.at_temperature(temperature)
    threshold = review_threshold(calibrated.probabilities, calibrated.targets, config.target_error)
    update = {"serve": chosen.serve, "temperature": temperature, "review_threshold": threshold}
    return draft.model_copy(update=update), calibrated


def _with_golden(directory: Path, manifest: Manifest, validation: Evaluation, config: TrainingConfig) -> Manifest:
    write_manifest(directory, manifest)
    if config.golden is not None:
        golden = golden_of_file(directory, config.golden)
    else:
        golden = golden_of_samples(directory, validation.samples, validation.probabilities)
    return manifest.model_copy(update={"golden": golden})


def _measure(
    directory: Path,
    manifest: Manifest,
    said_of_validation: Served,
    validation: Evaluation,
    samples: Sequence[Sample],
    config: TrainingConfig,
    stage: Stage,
) -> tuple[dict[str, Any], Evaluation]:
    """The metrics of each split, those of test for the graph that is not served too, and the answers on test."""
    threshold = manifest.review_threshold

    def measured(said: Served, answers: Evaluation) -> dict[str, Any]:
        return answers.measure(config.labels, threshold) | {"strange": said.share_strange(manifest)}

    said = _ask(directory, manifest, manifest.serve, samples, config, stage)
    test = Evaluation(samples, said.probabilities)
    metrics = {"validation": measured(said_of_validation, validation), "test": measured(said, test)}
    if manifest.serve != FULL:
        full = _ask(directory, manifest, FULL, samples, config, stage)
        metrics["test_full_precision"] = measured(full, Evaluation(samples, full.probabilities))
    return metrics, test
