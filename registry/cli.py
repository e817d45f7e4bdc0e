"""`penpress registry …`: a model's way to production, from the command line.

Every command imports what it needs when it runs. `select` and `register` print nothing but the id or number on standard output,
so that one command's answer can be the next one's argument; what explains it goes to standard error.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from registry.defaults import CALIBRATION_ERROR, MARGIN, METRIC

if TYPE_CHECKING:
    from registry.registration import Registered

app = typer.Typer(name="registry", help="Select, register, promote and inspect models.", no_args_is_help=True)


@dataclass(frozen=True, slots=True)
class Defaults:
    """What the program that offers these commands knows better: where the registry is if nobody says."""

    tracking_uri: Callable[[], str]


def _registry_uri(context: typer.Context, given: str) -> str:
    defaults = context.find_object(Defaults)
    if given or defaults is None:
        return given
    return defaults.tracking_uri()


TrackingUri = Annotated[
    str,
    typer.Option(
        envvar="MLFLOW_TRACKING_URI",
        callback=_registry_uri,
        help="MLflow's tracking and registry URI; `penpress` takes the store in the home by default.",
        show_default=False,
    ),
]
Number = Annotated[str, typer.Argument(metavar="VERSION", help="The number of a version.", show_default=False)]
Name = Annotated[str, typer.Argument(metavar="VERSION", help="A version's number, or an alias: prod or previous.")]
Reason = Annotated[str | None, typer.Option(help="Why; it is recorded with the version.", show_default=False)]
Experiments = Annotated[
    list[str] | None,
    typer.Option("--experiment", help="Only runs of this experiment; may be given several times.", show_default=False),
]


@app.command()
def select(
    run: Annotated[str | None, typer.Option(help="Take this run instead of the best.", show_default=False)] = None,
    metric: Annotated[str, typer.Option(help="What is best: a metric, as the runs call it.")] = METRIC,
    experiment: Experiments = None,
    higher: Annotated[
        bool | None,
        typer.Option("--higher-is-better/--lower-is-better", help="By default as the metric's name says.", show_default=False),
    ] = None,
    tracking_uri: TrackingUri = "",
) -> None:
    """Find the run to register: the best finished one by a metric. Prints its id."""
    from registry.catalog import Catalog
    from registry.display import show_selection
    from registry.selection import fit_run, select_best

    catalog = Catalog(tracking_uri)
    if run is not None:
        typer.echo(fit_run(catalog, run).id)
        return
    selection = select_best(catalog, metric, experiments=experiment or (), higher=higher)
    show_selection(selection)
    typer.echo(selection.best.id)


@app.command()
def register(
    run: Annotated[str, typer.Argument(help="The id of a finished run, as `select` prints it.", show_default=False)],
    tracking_uri: TrackingUri = "",
) -> None:
    """Make a run's bundle a version of the model. Prints its number."""
    from registry.catalog import Catalog
    from registry.registration import register_run

    _tell(register_run(Catalog(tracking_uri), run))


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(help="A bundle file, as `export` writes it.", show_default=False)],
    tracking_uri: TrackingUri = "",
) -> None:
    """Check a bundle file from elsewhere and make it a version. Prints its number."""
    from registry.catalog import Catalog
    from registry.registration import import_bundle

    _tell(import_bundle(Catalog(tracking_uri), file))


def _tell(registered: "Registered") -> None:
    number = registered.version.number
    typer.echo(f"Registered as version {number}." if registered.is_new else f"This is version {number} already.", err=True)
    typer.echo(number)


@app.command()
def export(
    version: Name,
    file: Annotated[Path, typer.Argument(help="The bundle file to write.", show_default=False)],
    tracking_uri: TrackingUri = "",
) -> None:
    """Write a version's bundle to one file."""
    from registry.bundle_file import write_bundle_file
    from registry.catalog import Catalog
    from registry.fetching import fetched

    catalog = Catalog(tracking_uri)
    found = catalog.find(version)
    with fetched(catalog, found) as bundle:
        write_bundle_file(bundle, file)
    typer.echo(f"Version {found.number} is in {file}.")


@app.command()
def promote(
    version: Number,
    margin: Annotated[float, typer.Option(min=0, max=1, help="How far test metrics may fall below production.")] = MARGIN,
    max_calibration_error: Annotated[
        float, typer.Option(min=0, max=1, help="The largest calibration error on the test split.")
    ] = CALIBRATION_ERROR,
    sample: Annotated[
        Path | None,
        typer.Option(help="Folder of images to report the agreement with production on.", show_default=False),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overrule the gates that object; needs --reason.")] = False,
    reason: Reason = None,
    tracking_uri: TrackingUri = "",
) -> None:
    """Put a version into production, if every gate lets it. Running services swap to it within seconds."""
    from registry import promotion
    from registry.catalog import Catalog
    from registry.display import show_findings
    from registry.examination import examine, sample_images
    from registry.gates import Limits

    catalog = Catalog(tracking_uri)
    candidate, holder = catalog.version(version), promotion.holder_of(catalog)
    if holder is not None and holder.number == candidate.number:
        typer.echo(f"Version {candidate.number} is in production already.")
        return
    limits = Limits(margin=margin, calibration_error=max_calibration_error)
    findings = examine(catalog, candidate, holder, limits=limits, sample=sample_images(sample) if sample else None)
    show_findings(findings)
    promotion.promote(catalog, candidate.number, findings=findings, force=force, reason=reason)
    typer.echo(f"Version {candidate.number} is in production{f'; version {holder.number} is archived' if holder else ''}.")


@app.command()
def rollback(reason: Reason = None, tracking_uri: TrackingUri = "") -> None:
    """Put the previous version back into production; a second rollback undoes the first."""
    from registry import promotion
    from registry.catalog import Catalog

    version = promotion.rollback(Catalog(tracking_uri), reason=reason)
    typer.echo(f"Version {version.number} is in production again.")


@app.command()
def archive(version: Number, reason: Reason = None, tracking_uri: TrackingUri = "") -> None:
    """Mark a version archived that is not in production."""
    from registry import promotion
    from registry.catalog import Catalog

    archived = promotion.archive(Catalog(tracking_uri), version, reason=reason)
    typer.echo(f"Version {archived.number} is archived.")


@app.command("list")
def list_(tracking_uri: TrackingUri = "") -> None:
    """List all versions, newest first."""
    from registry.catalog import Catalog
    from registry.display import show_entries
    from registry.overview import read_entries

    show_entries(read_entries(Catalog(tracking_uri)))


@app.command()
def show(version: Name = "prod", tracking_uri: TrackingUri = "") -> None:
    """Show all that is known of a version, and which versions are archived."""
    from registry.catalog import Catalog
    from registry.display import show_entry
    from registry.overview import archived, read_entries, read_entry

    catalog = Catalog(tracking_uri)
    show_entry(read_entry(catalog, version), archived(read_entries(catalog)))
