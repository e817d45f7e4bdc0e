"""`python -m training card`: render a bundle's model card, so that no figure in it is written by hand or of another model.

The text of a card lies in the bundle's folder as `MODEL_CARD.template.md`, with a `$name` in place of each section that is
rendered, and beside it `ATTRIBUTION.md`, which says whose data it was made from. `results` has what was measured beside the
bundle's own metrics, as far as it was measured: a section without figures is left out.
"""

import re
from pathlib import Path
from string import Template
from typing import Annotated, TypeVar

import typer

from inference.bundle import Bundle, load_bundle
from registry.cache import manifest_sha256
from registry.starter import STARTER
from training import card_measured, card_sections
from training.errors import NoCardText, NotMeasured, ResultsOfAnotherModel
from training.results import OddInputs, Results, Robustness, UnseenSources

Found = TypeVar("Found", bound=Results)

CARD = "MODEL_CARD.md"
RESULTS = "results"
_TEXT = "MODEL_CARD.template.md"
_ATTRIBUTION = "ATTRIBUTION.md"
_EMPTY_SECTIONS = re.compile(r"\n{3,}")


def card(
    bundle: Annotated[Path, typer.Argument(help="Folder of the bundle.")] = STARTER,
    results: Annotated[Path | None, typer.Option(help="Folder of the results; by default `results` in the bundle's.")] = None,
) -> None:
    """Write the model card of a bundle from its figures."""
    path = bundle / CARD
    path.write_text(render_card(bundle, results or bundle / RESULTS), encoding="utf-8")
    typer.echo(path)


def render_card(directory: Path, results: Path) -> str:
    """The card of the bundle in `directory`. Raises a `BundleError`, or a `CardError` where its text is missing, or results
    cannot be read or are not those of this bundle.
    """
    bundle = load_bundle(directory)
    if "by_class" not in bundle.manifest.metrics.get("test", {}):
        raise NotMeasured(f"{directory} states no figures of its test split, as `penpress train` makes them.")
    unseen = _read(UnseenSources, results / "unseen_sources.json")
    recipes = [UnseenSources.read(path) for path in sorted((results / "recipes").glob("*.json"))]
    robustness = _read(Robustness, results / "robustness.json")
    odd_inputs = _read(OddInputs, results / "odd_inputs.json")
    _refuse_others(bundle, robustness, odd_inputs)
    sections = {
        **card_sections.render(bundle.manifest),
        **card_measured.render(bundle.manifest, unseen, recipes, robustness, odd_inputs),
        "attribution": _text(directory / _ATTRIBUTION),
    }
    filled = Template(_text(directory / _TEXT)).substitute(sections)
    return _EMPTY_SECTIONS.sub("\n\n", filled).strip() + "\n"


def _refuse_others(bundle: Bundle, *results: Robustness | OddInputs | None) -> None:
    checksum = manifest_sha256(bundle)
    for found in results:
        if found is not None and found.bundle_sha256 != checksum:
            raise ResultsOfAnotherModel(
                f"The {type(found).__name__} results were measured on another model; measure {bundle.directory} anew."
            )


def _read(kind: type[Found], path: Path) -> Found | None:
    return kind.read(path) if path.is_file() else None


def _text(path: Path) -> str:
    if not path.is_file():
        raise NoCardText(f"{NoCardText.__doc__} {path} is missing.")
    return path.read_text(encoding="utf-8").strip()
