"""The sections of a model card that a bundle's manifest tells: what it is, how good on each split, how it was made.

Manifests of older bundles lack some figures; what has none is left out.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from inference.bundle import Manifest
from training.manifest import FULL, QUANTIZED
from training.markdown import bullets, paragraph, percent, table

Metrics = Mapping[str, Any]

_SPLITS = {"validation": "validation", "test": "**test**", "test_full_precision": "test, full precision"}
_FIGURES = {
    "images": ("images", "{:,}".format),
    "accuracy": ("accuracy", "{:.4f}".format),
    "macro_precision": ("precision (macro)", "{:.4f}".format),
    "macro_recall": ("recall (macro)", "{:.4f}".format),
    "macro_f1": ("F1 (macro)", "{:.4f}".format),
    "weighted_f1": ("F1 (weighted)", "{:.4f}".format),
    "roc_auc": ("area under the ROC curve", "{:.4f}".format),
    "average_precision": ("average precision", "{:.4f}".format),
    "log_loss": ("log loss", "{:.4f}".format),
    "expected_calibration_error": ("calibration error", "{:.4f}".format),
    "brier_score": ("Brier score", "{:.4f}".format),
    "risk_coverage_area": ("area under the risk-coverage curve", "{:.5f}".format),
    "coverage": ("as sure as the review threshold, or surer", percent),
    "error_when_sure": ("errors among these", percent),
    "strange": ("flagged as strange, however sure", percent),
}
_SCORES = ("precision", "recall", "f1")
_PROOFS = (
    "largest_difference_to_torch",
    "largest_difference_to_grad_cam",
    "validation_agreement_of_quantized",
    "quantized_left_out_because",
)
_DECIDES_NOTHING = {"processes", "golden"}


def render(manifest: Manifest) -> dict[str, str]:
    """Each section by its name, in Markdown; empty where the manifest has no figures for it."""
    test = manifest.metrics["test"]
    return {
        "model": _model(manifest),
        "figures": _figures(manifest.metrics),
        "classes": _classes(manifest.labels, test),
        "confidence": _confidence(manifest),
        "threshold": _threshold(manifest),
        "exports": _exports(manifest.notes),
        "sources": _accuracy_by("source", "repository (github.com/)", test),
        "centuries": _accuracy_by("century", "century", test),
        "data": _data(manifest),
        "training": _training(manifest.notes),
    }


def recipe(parameters: Mapping[str, str]) -> dict[str, str]:
    """Those of a run's parameters that decide what it yields."""
    return {name: value for name, value in parameters.items() if name not in _DECIDES_NOTHING}


def repository(source: str) -> str:
    """A source without the address that all of them share."""
    return source.removeprefix("github.com/")


def _model(manifest: Manifest) -> str:
    classes = ", ".join(f"{number} {label}" for number, label in enumerate(manifest.labels))
    size = f"{manifest.input.height} x {manifest.input.width} pixels (height x width), RGB, stretched"
    return bullets(
        [
            f"**Architecture**: {manifest.notes['architecture']}; input {size}. Class activation maps come with the answer.",
            f"**Files**: {_graphs(manifest)}. Processors serve `{manifest.serve}`.",
            f"**Classes**: {classes}.",
            f"**Made**: {manifest.created_at[:10]}.",
        ]
    )


def _graphs(manifest: Manifest) -> str:
    kept = manifest.notes.get("float_convolutions")
    edges = f"; the first {kept} convolutions and the head stay in floating point" if kept else ""
    purposes = {QUANTIZED: f"8-bit, for processors{edges}", FULL: "full precision, for GPUs and as the reference"}
    return " and ".join(f"`{name}` ({purpose})" for name, purpose in purposes.items() if name in manifest.files)


def _figures(metrics: Mapping[str, Metrics]) -> str:
    splits = [split for split in _SPLITS if split in metrics]
    rows = [
        [name, *(shown(metrics[split][key]) if key in metrics[split] else "" for split in splits)]
        for key, (name, shown) in _FIGURES.items()
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
    return paragraph(
        f"**Confidence.** Temperature {manifest.temperature:.3f}, fitted on validation.",
        "The calibration error is the expected calibration error over 15 bins of equal width.",
    )


def _threshold(manifest: Manifest) -> str:
    validation, test = manifest.metrics["validation"], manifest.metrics["test"]
    target = manifest.notes.get("parameters", {}).get("target_error")
    aim = f"at most {percent(float(target))} errors" if target else "few errors"
    strange = (
        f"However sure it is, {percent(test['strange'])} of the test lines look strange to it." if "strange" in test else ""
    )
    return paragraph(
        f"**Review threshold** {manifest.review_threshold:.4f}: the lowest confidence at which, on validation,",
        f"the answers that are as sure or surer have {aim}.",
        f"They are {percent(validation['coverage'])} of the lines there, with {percent(validation['error_when_sure'])} errors;",
        f"on test {percent(test['coverage'])}, with {percent(test['error_when_sure'])} errors.",
        strange,
    )


def _exports(notes: Mapping[str, Any]) -> str:
    torch, cam, agreement, objection = (notes.get(key) for key in _PROOFS)
    said = [
        f"Largest difference in probability between torch and `{FULL}`: {torch:.1e}." if torch is not None else "",
        f"Largest difference between its class activation maps and captum's Grad-CAM: {cam:.1e}." if cam is not None else "",
        f"The 8-bit graph gives the same class as `{FULL}` on {percent(agreement)} of the validation lines."
        if agreement
        else "",
        f"The 8-bit graph was left out: {objection}" if objection else "",
    ]
    return paragraph("**Exports.**", *said) if any(said) else ""


def _accuracy_by(group: str, heading: str, test: Metrics) -> str:
    found = test.get(f"accuracy_by_{group}")
    if not found:
        return ""
    rows = [[repository(name), f"{each['images']:,}", f"{each['accuracy']:.4f}"] for name, each in found.items()]
    return f"Accuracy on test by {group}:\n\n{table([heading, 'lines', 'accuracy'], rows)}"


def _data(manifest: Manifest) -> str:
    if manifest.data is None:
        return ""
    rows = [[split, f"{images:,}", f"`{manifest.data.fingerprints[split]}`"] for split, images in manifest.data.images.items()]
    named = paragraph(f"The data set `{manifest.data.name}`. A fingerprint names what a split holds, in whatever order.")
    return f"{named}\n\n{table(['split', 'lines', 'fingerprint'], rows)}"


def _training(notes: Mapping[str, Any]) -> str:
    epochs = "It trained for {epochs} epochs, of which number {best_epoch} had the lowest loss on validation."
    versions = ", ".join(f"{name} {version}" for name, version in notes.get("versions", {}).items())
    said = paragraph(
        epochs.format(**notes) if "epochs" in notes else "",
        f"It was made with {versions}." if versions else "",
    )
    rows = [[f"`{name}`", f"`{value}`"] for name, value in recipe(notes.get("parameters", {})).items()]
    return "\n\n".join(filter(None, [said, table(["parameter", "value"], rows) if rows else ""]))
