"""The sections of a model card that other measurements tell: unseen sources, robustness, inputs that it was not made for."""

from collections.abc import Mapping, Sequence

from inference.bundle import Manifest
from training.markdown import table
from training.results import Counted, OddInputs, Robustness, UnseenSources


def render(
    manifest: Manifest, unseen: UnseenSources | None, robustness: Robustness | None, odd_inputs: OddInputs | None
) -> dict[str, str]:
    """Each section by its name, in Markdown; empty for what was not measured."""
    return {
        "unseen_sources": _unseen_sources(manifest, unseen) if unseen else "",
        "robustness": _robustness(robustness) if robustness else "",
        "odd_inputs": _odd_inputs(odd_inputs) if odd_inputs else "",
    }


def _unseen_sources(manifest: Manifest, unseen: UnseenSources) -> str:
    images = sum(counted.images for counted in unseen.sources.values())
    right = sum(counted.right for counted in unseen.sources.values())
    folds = "one at a time" if unseen.folds == len(unseen.sources) else f"in {unseen.folds} groups"
    said = (
        f"**Sources that it has never seen.** Of the {len(unseen.sources)} sources of training and validation each was left out, "
        f"{folds}, and answered by\na network trained on the others: **accuracy {right / images:.4f}** on {images:,} lines."
        f"{_other_recipe(manifest, unseen.parameters)}{_only_in_test(manifest, unseen.sources)}"
    )
    rows = [[name.removeprefix("github.com/"), *_counted(counted)] for name, counted in unseen.sources.items()]
    return f"{said}\n\n{table(['repository left out (github.com/)', 'lines', 'accuracy'], rows)}"


def _counted(counted: Counted) -> Sequence[str]:
    return f"{counted.images:,}", f"{counted.right / counted.images:.4f}"


def _other_recipe(manifest: Manifest, parameters: Mapping[str, str]) -> str:
    own = manifest.notes.get("parameters", {})
    other = [f"`{name}` {value}" for name, value in parameters.items() if own.get(name) != value]
    return f"\nTheir recipe differed from this model's in {', '.join(other)}." if other else "\nTheir recipe was this model's."


def _only_in_test(manifest: Manifest, known: Mapping[str, Counted]) -> str:
    sources = manifest.metrics["test"].get("accuracy_by_source", {})
    fresh = [found for name, found in sources.items() if name not in known]
    if not fresh:
        return ""
    images = sum(found["images"] for found in fresh)
    right = sum(found["images"] * found["accuracy"] for found in fresh)
    return f"\nThis model's on the {len(fresh)} sources that are in test only: {right / images:.4f} on {images:,} lines."


def _robustness(robustness: Robustness) -> str:
    columns = ["variation", "accuracy", "other class than plain", "sent to a person", "errors among the others", "by reason"]
    rows = [
        [
            name,
            f"{found.accuracy:.4f}",
            f"{found.changed:.2%}",
            f"{found.share:.2%}",
            f"{found.error_when_sure:.2%}",
            _reasons(found.reasons),
        ]
        for name, found in robustness.variations.items()
    ]
    lines = max(found.images for found in robustness.variations.values())
    return f"**Robustness.** {lines} test lines drawn at random, each in every variation:\n\n{table(columns, rows)}"


def _odd_inputs(odd_inputs: OddInputs) -> str:
    rows = [
        [kind.replace("_", " "), f"{noticed.images:,}", f"{noticed.share:.2%}", _reasons(noticed.reasons)]
        for kind, noticed in odd_inputs.kinds.items()
    ]
    columns = ["kind", "images", "sent to a person", "by reason"]
    return f"**What it was not made for.** The share that is sent to a person:\n\n{table(columns, rows)}"


def _reasons(reasons: Mapping[str, int]) -> str:
    return ", ".join(f"{reason.replace('_', ' ')} {number}" for reason, number in reasons.items())
