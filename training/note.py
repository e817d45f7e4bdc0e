"""The words that describe a run to whoever opens it in MLflow: a note with the key figures, and tags."""

from collections.abc import Mapping
from typing import Any

from inference.bundle import Manifest
from training.environment import Commit

NOTE_TAG = "mlflow.note.content"
_FIGURES = {
    "accuracy": "accuracy",
    "macro_f1": "F1 (macro)",
    "roc_auc": "ROC AUC",
    "expected_calibration_error": "calibration error",
    "brier_score": "Brier score",
    "coverage": "answered without review",
    "error_when_sure": "error among these",
}
_SHARES = {"accuracy", "coverage", "error_when_sure"}
_SPLITS = ("validation", "test")


def describe(manifest: Manifest) -> str:
    """Markdown: what the model is, its key figures on validation and test, where the rest lies."""
    splits = [split for split in _SPLITS if split in manifest.metrics]
    heading = f"**{manifest.name}** tells {' from '.join(manifest.labels)}. {manifest.notes.get('architecture', '')}".strip()
    table = [
        f"| | {' | '.join(f'{split} (n = {_count(manifest.metrics[split])})' for split in splits)} |",
        f"|---|{'---:|' * len(splits)}",
        *(_row(key, name, [manifest.metrics[split] for split in splits]) for key, name in _FIGURES.items()),
    ]
    served = f"Served graph `{manifest.serve}`, review below a confidence of {manifest.review_threshold:.4f}."
    where = "Figures and the worst mistakes are among the artifacts, in `figures/`; the bundle is `bundle/`."
    return "\n\n".join([heading, "\n".join(table), served, where])


def describing_tags(manifest: Manifest) -> dict[str, str]:
    """Tags with the note, the model, the data set that it was made from, and the commit if the code is a checkout."""
    tags = {
        NOTE_TAG: describe(manifest),
        "model.name": manifest.name,
        "model.description": str(manifest.notes.get("architecture", "")),
        "model.input": f"{manifest.input.height} x {manifest.input.width}, {manifest.input.resize}",
        "model.labels": ", ".join(manifest.labels),
        "model.serves": manifest.serve,
        **_data_tags(manifest),
    }
    return {name: value for name, value in tags.items() if value}


def code_tags(found: Commit | None) -> dict[str, str]:
    """Which commit made the run, and whether files differed from it; nothing outside a checkout."""
    if found is None:
        return {}
    return {"mlflow.source.git.commit": found.sha, "git.dirty": str(found.dirty).lower()}


def _data_tags(manifest: Manifest) -> dict[str, str]:
    data = manifest.data
    if data is None:
        return {}
    images = ", ".join(f"{split} {number:,}" for split, number in data.images.items())
    fingerprints = {f"data.fingerprint.{split}": value for split, value in data.fingerprints.items()}
    return {"data.name": data.name, "data.description": f"{data.name}: {images} images", **fingerprints}


def _row(key: str, name: str, splits: list[Mapping[str, Any]]) -> str:
    return f"| {name} | {' | '.join(_shown(key, metrics.get(key)) for metrics in splits)} |"


def _shown(key: str, value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:.2%}" if key in _SHARES else f"{value:.4f}"


def _count(metrics: Mapping[str, Any]) -> str:
    return f"{metrics.get('images', 0):,}"
