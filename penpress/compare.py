"""`penpress registry compare`: two models on a labelled data set, which only this package may read beside the registry."""

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from penpress.errors import CannotWrite, NothingToDo
from registry.cli import TrackingUri
from training.extra import require_extra

if TYPE_CHECKING:
    from registry.comparison import Comparison, Labelled
    from training.data import Sample

_MODEL = "A version's number, an alias, or a folder with a bundle."


def compare(
    first: Annotated[str, typer.Argument(metavar="A", help=_MODEL, show_default=False)],
    second: Annotated[str, typer.Argument(metavar="B", help=_MODEL, show_default=False)],
    data: Annotated[Path, typer.Argument(help="A data set, as `penpress data import` makes them.", show_default=False)],
    split: Annotated[str, typer.Option(help="train, validation or test.")] = "test",
    out: Annotated[Path | None, typer.Option(help="CSV file for all disagreements.", show_default=False)] = None,
    tracking_uri: TrackingUri = "",
) -> None:
    """Compare two models on a labelled data set: accuracy, agreement, McNemar's test, disagreements."""
    require_extra()
    from registry.catalog import Catalog
    from registry.comparison import compare, open_model
    from registry.display import show_comparison
    from registry.fetching import fetched_by_name
    from training.data import read_data_set

    catalog = Catalog(tracking_uri)
    with fetched_by_name(catalog, first) as one, fetched_by_name(catalog, second) as two:
        splits = read_data_set(data, one.manifest.labels)
        if split not in splits:
            raise NothingToDo(f"The data set has no split {split!r}; choose {', '.join(splits)}.")
        if not splits[split]:
            raise NothingToDo(f"The split {split} of {data} has no {' or '.join(one.manifest.labels)} images.")
        comparison = compare(open_model(one), open_model(two), _labelled(splits[split]))
    show_comparison(comparison, first, second)
    if out:
        write_disagreements(comparison, out)


def write_disagreements(comparison: "Comparison", path: Path) -> None:
    """One line per image that the two models answer differently. Raises `CannotWrite`."""
    from api.results_format import safe_cell  # late: it imports the database's models

    try:
        with path.open("w", encoding="utf-8", newline="") as file:
            rows = csv.writer(file, lineterminator="\n")
            rows.writerow(("file", "truth", "a_class", "a_confidence", "b_class", "b_confidence"))
            for found in comparison.disagreements:
                answers = [(verdict.predicted_class, f"{verdict.confidence:.6f}") for verdict in (found.first, found.second)]
                rows.writerow((safe_cell(found.name), found.truth, *answers[0], *answers[1]))
    except OSError as error:
        raise CannotWrite(f"The disagreements cannot be written to {path}: {error.strerror or error}.") from error


def _labelled(samples: Sequence["Sample"]) -> Iterator["Labelled"]:
    """The samples one by one, with a bar that says how far it is."""
    from penpress.progress import classification_meter

    with classification_meter(len(samples)) as meter:
        for done, sample in enumerate(samples):
            meter.update(done)
            yield sample.name, sample.read(), sample.target
