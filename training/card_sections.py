"""The sections of a model card that a bundle's manifest tells: what it is, how good on each split, how it was made.

Manifests of older bundles lack some figures; what has none is left out.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from inference.bundle import Manifest
from training.manifest import FULL, QUANTIZED
from training.markdown import table

Metrics = Mapping[str, Any]

_SPLITS = {"validation": "validation", "test": "**test**", "test_full_precision": "test, full precision"}
_FIGURES = {
    "images": ("images", ",d"),
    "accuracy": ("accuracy", ".4f"),
    "macro_precision": ("precision (macro)", ".4f"),
    "macro_recall": ("recall (macro)", ".4f"),
    "macro_f1": ("F1 (macro)", ".4f"),
    "weighted_f1": ("F1 (weighted)", ".4f"),
    "roc_auc": ("area under the ROC curve", ".4f"),
    "average_precision": ("average precision", ".4f"),
    "log_loss": ("log loss", ".4f"),
    "expected_calibration_error": ("calibration error", ".4f"),
    "brier_score": ("Brier score", ".4f"),
    "risk_coverage_area": ("area under the risk-coverage curve", ".5f"),
    "coverage": ("confidence at or above the review threshold", ".2%"),
    "error_when_sure": ("errors among these", ".2%"),
    "strange": ("flagged as strange, whatever the confidence", ".2%"),
}
_SCORES = ("precision", "recall", "f1")
_NOT_A_CHOICE = {"processes", "golden", "data", "weights"}


def render(manifest: Manifest) -> dict[str, str]:
    """Each section by its name, in Markdown; empty where the manifest has no figures for it."""
    test = manifest.metrics["test"]
    return {
        "model": _model(manifest),
        "figures": _figures(manifest.metrics),
        "classes": _classes(manifest.labels, test),
        "confidence": _confidence(manifest),
        "exports": _exports(manifest),
        "sources": _accuracy_by("source", test),
        "centuries": _accuracy_by("century", test),
        "data": _data(manifest),
        "training": _training(manifest.notes),
    }


def _model(manifest: Manifest) -> str:
    classes = ", ".join(f"{number} {label}" for number, label in enumerate(manifest.labels))
    size = f"{manifest.input.height} x {manifest.input.width} pixels (height x width), RGB"
    kept = f"; the first {manifest.notes['float_convolutions']} convolutions and the head stay in floating point"
    graphs = {
        QUANTIZED: f"`{QUANTIZED}` (8-bit, for processors{kept if 'float_convolutions' in manifest.notes else ''})",
        FULL: f"`{FULL}` (full precision, for GPUs and as the reference)",
    }
    files = " and ".join(text for name, text in graphs.items() if name in manifest.files)
    return "\n".join(
        [
            f"- **Architecture**: {manifest.notes['architecture']}; input {size}. Class activation maps come with the answer.",
            f"- **Files**: {files}. Processors serve `{manifest.serve}`.",
            f"- **Classes**: {classes}.",
            f"- **Made** on {manifest.created_at[:10]}.",
        ]
    )


def _figures(metrics: Mapping[str, Metrics]) -> str:
    splits = [split for split in _SPLITS if split in metrics]
    rows = [
        [name, *(format(metrics[split][key], style) if key in metrics[split] else "" for split in splits)]
        for key, (name, style) in _FIGURES.items()
        if any(key in metrics[split] for split in splits)
    ]
    return table(["", *(_SPLITS[split] for split in splits)], rows)


def _classes(labels: Sequence[str], test: Metrics) -> str:
    columns = ["", "images", "precision", "recall", "F1", *(f"answered {label}" for label in labels)]
    rows = [
        [label, f"{scores['images']:,}", *(f"{scores[score]:.4f}" for score in _SCORES), *(f"{n:,}" for n in answered)]
        for (label, scores), answered in zip(test["by_class"].items(), test["confusion_matrix"], strict=True)
    ]
    return f"On test, by class:\n\n{table(columns, rows)}"


def _confidence(manifest: Manifest) -> str:
    validation, test = manifest.metrics["validation"], manifest.metrics["test"]
    target = manifest.notes.get("parameters", {}).get("target_error")
    aim = f" at most {float(target):.1%} errors" if target else " few errors"
    return (
        f"**Confidence.** Temperature {manifest.temperature:.3f}, fitted on validation. The calibration error is the expected "
        f"calibration error over 15 bins of equal width.\n**Review threshold** {manifest.review_threshold:.4f}: on validation the "
        f"lowest confidence at which what is not reviewed has{aim}.\nThere it leaves {validation['coverage']:.2%} of the lines "
        f"without review, with {validation['error_when_sure']:.2%} errors; on test {test['coverage']:.2%}, with "
        f"{test['error_when_sure']:.2%} errors.{_strange(test)}"
    )


def _strange(test: Metrics) -> str:
    if "strange" not in test:
        return ""
    return f"\nWhatever its confidence, {test['strange']:.2%} of the test lines are sent to a person because they look strange."


def _exports(manifest: Manifest) -> str:
    notes = manifest.notes
    said = []
    if "largest_difference_to_torch" in notes:
        difference = f"{notes['largest_difference_to_torch']:.1e}"
        said.append(f"Largest difference in probability between torch and `{FULL}`: {difference}.")
    if "largest_difference_to_grad_cam" in notes:
        difference = f"{notes['largest_difference_to_grad_cam']:.1e}"
        said.append(f"Largest difference between its class activation map and captum's Grad-CAM: {difference}.")
    if "validation_agreement_of_quantized" in notes:
        agreement = f"{notes['validation_agreement_of_quantized']:.2%}"
        said.append(f"The 8-bit graph gives the same class as `{FULL}` on {agreement} of the validation lines.")
    if notes.get("quantized_left_out_because"):
        said.append(f"It was left out: {notes['quantized_left_out_because']}")
    return "**Exports.** " + "\n".join(said) if said else ""


def _accuracy_by(group: str, test: Metrics) -> str:
    found = test.get(f"accuracy_by_{group}")
    if not found:
        return ""
    rows = [
        [name.removeprefix("github.com/"), f"{each['images']:,}", f"{each['accuracy']:.4f}"] for name, each in found.items()
    ]
    heading = {"source": "repository (github.com/)"}.get(group, group)
    return f"Accuracy on test by {group}:\n\n{table([heading, 'lines', 'accuracy'], rows)}"


def _data(manifest: Manifest) -> str:
    if manifest.data is None:
        return ""
    rows = [[split, f"{images:,}", f"`{manifest.data.fingerprints[split]}`"] for split, images in manifest.data.images.items()]
    named = f"The data set `{manifest.data.name}`; a fingerprint names what a split holds, in whatever order."
    return f"{named}\n\n{table(['split', 'lines', 'fingerprint'], rows)}"


def _training(notes: Mapping[str, Any]) -> str:
    said = []
    if "epochs" in notes:
        said.append(f"It trained for {notes['epochs']} epochs; epoch {notes['best_epoch']} had the lowest validation loss.")
    if "versions" in notes:
        said.append(f"Made with {', '.join(f'{name} {version}' for name, version in notes['versions'].items())}.")
    parameters = {name: value for name, value in notes.get("parameters", {}).items() if name not in _NOT_A_CHOICE}
    rows = [[f"`{name}`", f"`{value}`"] for name, value in parameters.items()]
    return "\n\n".join(filter(None, ["\n".join(said), table(["parameter", "value"], rows) if rows else ""]))
