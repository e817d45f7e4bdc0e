"""The sections of a model card that other measurements tell: unseen sources, robustness, inputs that it was not made for."""

from collections.abc import Mapping, Sequence

from inference.bundle import Manifest
from training.card_sections import recipe, repository
from training.markdown import paragraph, percent, table
from training.results import Counted, OddInputs, Robustness, UnseenSources

_COST = ("height", "width", "epochs", "epoch_images")


def render(
    manifest: Manifest,
    unseen: UnseenSources | None,
    recipes: Sequence[UnseenSources],
    robustness: Robustness | None,
    odd_inputs: OddInputs | None,
) -> dict[str, str]:
    """Each section by its name, in Markdown; empty for what was not measured."""
    return {
        "recipes": _recipes(recipes) if recipes else "",
        "unseen_sources": _unseen_sources(manifest, unseen) if unseen else "",
        "robustness": _robustness(robustness) if robustness else "",
        "odd_inputs": _odd_inputs(odd_inputs) if odd_inputs else "",
    }


def _unseen_sources(manifest: Manifest, unseen: UnseenSources) -> str:
    said = paragraph(
        "**Sources that it has never seen.**",
        f"Each of the {len(unseen.sources)} sources of training and validation was left out, {_folds(unseen)},",
        f"and answered by a network trained on the others: **accuracy {unseen.accuracy:.4f}** on {unseen.images:,} lines.",
        _compare_recipes(recipe(unseen.parameters), recipe(manifest.notes.get("parameters", {}))),
        _only_in_test(manifest, unseen.sources),
    )
    rows = [[repository(name), f"{each.images:,}", f"{each.right / each.images:.4f}"] for name, each in unseen.sources.items()]
    return f"{said}\n\n{table(['left out (github.com/)', 'lines', 'accuracy'], rows)}"


def _recipes(recipes: Sequence[UnseenSources]) -> str:
    """What sets them apart, and how each did on sources that it did not see, the best first."""
    cooked = [recipe(each.parameters) for each in recipes]
    varied = [name for name in cooked[0] if len({each[name] for each in cooked}) > 1]
    best_first = sorted(zip(recipes, cooked, strict=True), key=lambda pair: -pair[0].accuracy)
    rows = [[*(own[name] for name in varied), f"{found.accuracy:.4f}"] for found, own in best_first]
    same = [f"`{name}` {value}" for name, value in cooked[0].items() if name in _COST and name not in varied]
    said = paragraph(
        "**How augmentation and sampling were chosen**: by the accuracy on sources left out,",
        f"{_folds(recipes[0])}, of smaller and shorter runs ({', '.join(same)}); test had no say.",
    )
    return f"{said}\n\n{table([*(f'`{name}`' for name in varied), 'accuracy'], rows)}"


def _folds(unseen: UnseenSources) -> str:
    return "one at a time" if unseen.folds == len(unseen.sources) else f"in {unseen.folds} groups"


def _compare_recipes(theirs: Mapping[str, str], own: Mapping[str, str]) -> str:
    other = [f"`{name}` {value}" for name, value in theirs.items() if own.get(name) != value]
    return f"Their recipe differed from this model's: {', '.join(other)}." if other else "Their recipe was this model's."


def _only_in_test(manifest: Manifest, known: Mapping[str, Counted]) -> str:
    sources = manifest.metrics["test"].get("accuracy_by_source", {})
    fresh = [found for name, found in sources.items() if name not in known]
    if not fresh:
        return ""
    images = sum(found["images"] for found in fresh)
    accuracy = sum(found["images"] * found["accuracy"] for found in fresh) / images
    return (
        f"Of the sources of test {len(fresh)} are in no other split: on their {images:,} lines this model has {accuracy:.4f}."
    )


def _robustness(robustness: Robustness) -> str:
    columns = ["variation", "accuracy", "other class than plain", "sent to a person", "errors among the others", "by reason"]
    rows = [
        [
            name,
            f"{found.accuracy:.4f}",
            percent(found.changed),
            percent(found.share),
            percent(found.error_when_sure),
            _reasons(found.reasons),
        ]
        for name, found in robustness.variations.items()
    ]
    lines = max(found.images for found in robustness.variations.values())
    return f"**Robustness.** {lines} test lines drawn at random, each in every variation:\n\n{table(columns, rows)}"


def _odd_inputs(odd_inputs: OddInputs) -> str:
    columns = ["kind", "images", "sent to a person", "by reason"]
    rows = [
        [kind.replace("_", " "), f"{noticed.images:,}", percent(noticed.share), _reasons(noticed.reasons)]
        for kind, noticed in odd_inputs.kinds.items()
    ]
    return f"**What it was not made for**, and which share of it is sent to a person:\n\n{table(columns, rows)}"


def _reasons(reasons: Mapping[str, int]) -> str:
    return ", ".join(f"{reason.replace('_', ' ')} {number}" for reason, number in reasons.items())
