"""Make a bundle of a trained network: export it, let the graphs prove themselves, calibrate, measure, write the manifest.

Everything is decided on validation; the test split is looked at once, at the end, and decides nothing.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from inference.bundle import MANIFEST_NAME, Bundle, Manifest, file_sha256, load_bundle
from inference.preprocess import Pixels
from training.calibration import apply_temperature, fit_temperature, review_threshold
from training.config import TrainingConfig
from training.data import DataSet, Sample, draw, prepared
from training.evaluate import served_probabilities, targets_of
from training.export import export_graph, quantize_graph
from training.gates import check_parity, quantization_objection
from training.metrics import accuracy, summarise
from training.model import ServingModel
from training.progress import Stage

FloatArray = npt.NDArray[np.floating[Any]]

FULL = "model.onnx"
QUANTIZED = "model.int8.onnx"
_PARITY_IMAGES = 8


@dataclass(frozen=True, slots=True)
class Quantized:
    """The 8-bit graph's probabilities on validation, and what speaks against serving it."""

    float_convolutions: int
    answers: FloatArray
    objection: str | None


def assemble(
    model: ServingModel, data_set: DataSet, config: TrainingConfig, directory: Path, *, notes: Mapping[str, Any], stage: Stage
) -> Bundle:
    """Write a bundle of `model` into `directory`. Raises a `GateError` if the full-precision graph is not the network."""
    directory.mkdir(parents=True, exist_ok=True)
    images = _calibration_images(data_set["train"], config)
    export_graph(model, directory / FULL, config.input_spec)
    draft = _draft(config, directory)
    parity = check_parity(model, write_manifest(directory, draft), images[:_PARITY_IMAGES])

    targets = targets_of(data_set["validation"])
    full = _ask(directory, draft, FULL, data_set["validation"], config, stage)
    quantized = _quantize(directory, draft, images, full, data_set["validation"], config, stage)
    answers = full if quantized.objection else quantized.answers
    serve = FULL if quantized.objection else QUANTIZED

    temperature = fit_temperature(answers, targets)
    validation = apply_temperature(answers, temperature)
    threshold = review_threshold(validation, targets, config.target_error)
    calibrated = draft.model_copy(update={"serve": serve, "temperature": temperature, "review_threshold": threshold})
    metrics = {"validation": summarise(validation, targets, config.labels, threshold)}
    metrics |= _measure_test(directory, calibrated, data_set["test"], config, stage)
    proofs = {
        "largest_difference_to_torch": parity,
        "float_convolutions": quantized.float_convolutions,
        "validation_agreement_of_quantized": accuracy(quantized.answers, full.argmax(axis=1)),
        "quantized_left_out_because": quantized.objection,
    }
    return _finish(directory, calibrated, metrics, {**notes, **proofs})


def write_manifest(directory: Path, manifest: Manifest) -> Bundle:
    """Write `bundle.json` for the graphs that lie in `directory`, with their checksums, and read the bundle back."""
    present = [name for name in (FULL, QUANTIZED) if (directory / name).is_file()]
    complete = manifest.model_copy(update={"files": {name: file_sha256(directory / name) for name in present}})
    text = json.dumps(complete.model_dump(mode="json"), indent=2, ensure_ascii=False)
    (directory / MANIFEST_NAME).write_text(text + "\n", encoding="utf-8")
    return load_bundle(directory)


def _draft(config: TrainingConfig, directory: Path) -> Manifest:
    return Manifest(
        name=directory.name,
        labels=config.labels,
        input=config.input_spec,
        temperature=1.0,
        review_threshold=1.0,
        serve=FULL,
        files={},
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def _calibration_images(samples: Sequence[Sample], config: TrainingConfig) -> list[Pixels]:
    """Training images drawn at random, prepared."""
    drawn = draw(samples, config.calibration_images, config.seed)
    return [prepared(sample.read(), config.input_spec) for sample in drawn]


def _ask(
    directory: Path, manifest: Manifest, graph: str, samples: Sequence[Sample], config: TrainingConfig, stage: Stage
) -> FloatArray:
    """The probabilities that a bundle with `manifest` gives when it serves `graph`."""
    write_manifest(directory, manifest.model_copy(update={"serve": graph}))
    advance = stage(f"{graph} on {len(samples)} images", len(samples))
    return served_probabilities(directory, samples, processes=config.processes, advance=advance)


def _quantize(
    directory: Path,
    draft: Manifest,
    images: Sequence[Pixels],
    full: FloatArray,
    samples: Sequence[Sample],
    config: TrainingConfig,
    stage: Stage,
) -> Quantized:
    """Write the 8-bit graph with as few convolutions in floating point as its gate demands; none, if it never passes."""
    for float_convolutions in config.float_convolutions:
        quantize_graph(directory / FULL, directory / QUANTIZED, images, float_convolutions=float_convolutions)
        answers = _ask(directory, draft, QUANTIZED, samples, config, stage)
        objection = quantization_objection(full, answers, targets_of(samples))
        if objection is None:
            return Quantized(float_convolutions, answers, None)
    (directory / QUANTIZED).unlink()
    return Quantized(float_convolutions, answers, objection)


def _measure_test(
    directory: Path, manifest: Manifest, samples: Sequence[Sample], config: TrainingConfig, stage: Stage
) -> dict[str, Any]:
    """`test` is what the served graph answers, with its accuracy by source; `test_full_precision` what the other one does."""
    targets, threshold = targets_of(samples), manifest.review_threshold
    served = _ask(directory, manifest, manifest.serve, samples, config, stage)
    test = summarise(served, targets, config.labels, threshold) | {"accuracy_by_source": _by_source(served, samples)}
    if manifest.serve == FULL:
        return {"test": test}
    full = _ask(directory, manifest, FULL, samples, config, stage)
    return {"test": test, "test_full_precision": summarise(full, targets, config.labels, threshold)}


def _by_source(probabilities: FloatArray, samples: Sequence[Sample]) -> dict[str, dict[str, float]]:
    right = probabilities.argmax(axis=1) == targets_of(samples)
    sources = np.array([sample.source for sample in samples])
    return {
        source: {"images": int((sources == source).sum()), "accuracy": float(right[sources == source].mean())}
        for source in sorted(set(sources.tolist()))
    }


def _finish(directory: Path, manifest: Manifest, metrics: Mapping[str, Any], notes: Mapping[str, Any]) -> Bundle:
    return write_manifest(directory, manifest.model_copy(update={"metrics": dict(metrics), "notes": dict(notes)}))
