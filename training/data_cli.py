"""`penpress data import …` and `penpress data audit`.

Every command imports what it needs when it runs: the service installs without the packages that training takes.
"""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from training.extra import require_extra

if TYPE_CHECKING:
    from collections.abc import Sequence

    from training.audit import FloatArray, Located
    from training.config import TrainingConfig
    from training.importing.hub import Place
    from training.importing.plan import Choices
    from training.importing.rows import Source

data_commands = typer.Typer(name="data", help="Import data sets, and look for mistakes in them.", no_args_is_help=True)
import_commands = typer.Typer(name="import", help="Make a data set on disk out of a source.", no_args_is_help=True)
data_commands.add_typer(import_commands)

Out = Annotated[Path, typer.Option(help="Folder for the data set; it appears when it is complete.", show_default=False)]


class SplitBy(StrEnum):
    """Who splits: the source, or the importer by document."""

    SOURCE = "source"
    GROUP = "group"


Splits = Annotated[
    SplitBy, typer.Option(help="source: as the source splits, and by document where it does not; group: all by document.")
]
Shares = Annotated[str, typer.Option(help="Parts of train, validation and test where documents are split.")]
Seed = Annotated[int, typer.Option(help="Decides which documents go where, and into a subset.")]
Subset = Annotated[float, typer.Option(min=0.0, max=1.0, help="The fraction of the documents to import.")]
DropDuplicates = Annotated[
    bool, typer.Option("--drop-duplicates", help="Of a picture in two splits, leave out the copy in train (or validation).")
]
Licence = Annotated[str, typer.Option(help="The licence of images whose source states none.")]
Threads = Annotated[int, typer.Option(min=1, help="Images decoded at the same time.")]
Parquet = Annotated[
    Path | None,
    typer.Option(exists=True, file_okay=False, help="Folder with the parquet files, whose names begin with their split."),
]
Revision = Annotated[str | None, typer.Option(help="Commit, tag or branch of the data set on the hub.")]


@import_commands.command("catmus")
def import_catmus(
    out: Out,
    parquet: Parquet = None,
    dataset: Annotated[str, typer.Option(help="Name of the data set on the Hugging Face hub.")] = "CATMuS/modern",
    revision: Revision = None,
    image_column: str = "im",
    label_column: str = "writing_type",
    group_column: Annotated[str, typer.Option(help="The document.")] = "shelfmark",
    source_column: str = "project",
    not_before_column: Annotated[str, typer.Option(help="First year, for the century.")] = "not_before",
    not_after_column: Annotated[str, typer.Option(help="Last year, for the century.")] = "not_after",
    licence: Licence = "CC-BY-4.0",
    splits: Splits = SplitBy.GROUP,
    shares: Shares = "80/10/10",
    seed: Seed = 0,
    subset: Subset = 1.0,
    drop_duplicates: DropDuplicates = False,
    threads: Threads = 2,
) -> None:
    """CATMuS/modern: streamed from the Hugging Face hub, or from local parquet files.

    Typewritten lines keep their label; training leaves them out.
    """
    require_extra()
    from training.importing.catmus import catmus

    columns = {
        "image": image_column,
        "label": label_column,
        "group": group_column,
        "source": source_column,
        "not_before": not_before_column,
        "not_after": not_after_column,
    }
    source = catmus(_place(dataset, revision, parquet), columns, licence)
    _import("catmus", source, out, _choices(splits, shares, seed, drop_duplicates), subset, threads)


@import_commands.command("corto")
def import_corto(
    out: Out,
    parquet: Parquet = None,
    dataset: Annotated[str, typer.Option(help="Name of the data set on the Hugging Face hub.")] = "corto-ai/handwritten-text",
    revision: Revision = None,
    image_column: str = "image",
    licence: Licence = "",
    splits: Splits = SplitBy.SOURCE,
    shares: Shares = "80/10/10",
    seed: Seed = 0,
    subset: Subset = 1.0,
    drop_duplicates: DropDuplicates = False,
    threads: Threads = 2,
) -> None:
    """corto-ai/handwritten-text: handwritten lines in grey. It names no documents: each picture counts as one."""
    require_extra()
    from training.importing.corto import corto

    source = corto(_place(dataset, revision, parquet), {"image": image_column}, licence)
    _import("corto", source, out, _choices(splits, shares, seed, drop_duplicates), subset, threads)


@import_commands.command("folder")
def import_folder(
    path: Annotated[
        Path, typer.Argument(exists=True, help="Folder of split/class/files, or a CSV with file and label.", show_default=False)
    ],
    out: Out,
    source: Annotated[str, typer.Option(help="The source of images for which metadata.csv or the CSV names none.")] = "",
    licence: Licence = "",
    splits: Splits = SplitBy.SOURCE,
    shares: Shares = "80/10/10",
    seed: Seed = 0,
    subset: Subset = 1.0,
    drop_duplicates: DropDuplicates = False,
    threads: Threads = 2,
) -> None:
    """Images in folders (train/printed/…), with a metadata.csv if there is one, or a CSV that lists them.

    Its columns are file and label, and, where known, split, group (the document), source, century and licence.
    """
    require_extra()
    from training.importing.folder import FolderSource

    found = FolderSource(path, source=source, licence=licence)
    _import("folder", found, out, _choices(splits, shares, seed, drop_duplicates), subset, threads)


def _place(dataset: str, revision: str | None, parquet: Path | None) -> "Place":
    from training.importing.hub import Place

    return Place(dataset, revision, parquet)


def _choices(splits: SplitBy, shares: str, seed: int, drop_duplicates: bool) -> "Choices":
    from training.importing.plan import Choices

    return Choices(splits is SplitBy.GROUP, _parse_shares(shares), seed, drop_duplicates)


def _parse_shares(text: str) -> tuple[float, float, float]:
    try:
        train, validation, test = (float(part) for part in text.split("/"))
    except ValueError:
        raise typer.BadParameter("write three numbers, as in 80/10/10.", param_hint="--shares") from None
    if min(train, validation, test) < 0 or train <= 0:
        raise typer.BadParameter("a share is negative, or that of train is nothing.", param_hint="--shares")
    return train, validation, test


def _import(kind: str, source: "Source", out: Path, choices: "Choices", subset: float, threads: int) -> None:
    from rich.console import Console

    from training.importing.publish import read_report
    from training.importing.report import show
    from training.importing.run import Task, import_data
    from training.progress import progress_bars

    was_complete = read_report(out) is not None
    task = Task(kind, source, choices, subset=subset, threads=threads)
    with progress_bars() as stage:
        report = import_data(task, out.absolute(), stage)
    if was_complete:
        typer.echo(f"The data set in {out} is complete; nothing was left to do.")
    show(report, out, Console())


@data_commands.command("audit")
def audit(
    directory: Annotated[Path, typer.Argument(help="The data set.", show_default=False)],
    out: Annotated[Path, typer.Option(help="Folder for review.csv and review.html.", show_default=False)],
    split: Annotated[list[str] | None, typer.Option(help="A split to look at; by default all. May be repeated.")] = None,
    weights: Annotated[
        Path | None,
        typer.Option(exists=True, help="Safetensors file with ImageNet weights; by default torchvision's download."),
    ] = None,
    folds: Annotated[int, typer.Option(min=2, help="Parts that the documents are dealt into.")] = 5,
    seed: Annotated[int, typer.Option(help="Decides which document is in which part.")] = 0,
    shown: Annotated[int, typer.Option(min=1, help="Pictures on the page; the CSV lists all.")] = 500,
    processes: Annotated[int, typer.Option(min=0, help="Processes that decode images.")] = 2,
) -> None:
    """Find labels that are probably wrong, and list them for a person to review."""
    require_extra()
    from rich.console import Console

    from training.audit import audit_labels, located, require_every_label
    from training.config import TrainingConfig
    from training.data import SPLITS, read_data_set
    from training.review import documents_table, suspects_table, write_list, write_page

    if unknown := set(split or ()) - set(SPLITS):
        raise typer.BadParameter(f"there is no split {min(unknown)}.", param_hint="--split")
    config = TrainingConfig(data=directory, weights=weights, processes=processes)
    images = located(read_data_set(directory, config.labels), split or SPLITS)
    require_every_label(images, config.labels)
    out.mkdir(parents=True, exist_ok=True)
    features = _features(images, config, cache=out / "features")
    found = audit_labels(images, features, config.labels, folds=folds, seed=seed)
    write_list(found, config.labels, out / "review.csv")
    write_page(found, config.input_spec, out / "review.html", at_most=shown)
    console = Console()
    console.print(suspects_table(found, config.labels))
    if found.suspects:
        console.print(documents_table(found))
    typer.echo(f"The model that was asked agrees with {found.agreement:.1%} of the labels.")
    typer.echo(f"Labels to review: {len(found.suspects)}, in {out / 'review.html'} and {out / 'review.csv'}")


def _features(images: "Sequence[Located]", config: "TrainingConfig", *, cache: Path) -> "FloatArray":
    from training.features import pooled_features
    from training.model import ServingModel, load_imagenet_network
    from training.progress import progress_bars

    model = ServingModel(load_imagenet_network(config.weights), len(config.labels))
    samples = [image.sample for image in images]
    with progress_bars() as stage:
        advance = stage("features", len(samples))
        return pooled_features(model, samples, config, cache=cache, advance=advance)
