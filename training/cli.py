"""`penpress train`, `penpress cross-validate` and `penpress data …`, which `python -m training` offers too.

Every command imports what it needs when it runs: the service installs without the packages that training takes.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from registry.cli import TrackingUri
from training.data_cli import data_commands
from training.extra import require_extra
from training.options import config_of, with_training_options

if TYPE_CHECKING:
    from inference.bundle import Bundle

__all__ = ["cross_validate", "data_commands", "train"]

Data = Annotated[Path, typer.Argument(help="A data set as `penpress data import` makes them.", show_default=False)]
Out = Annotated[
    Path,
    typer.Option(
        help="Folder for the checkpoint, the features and what comes of it; called again with the same, it goes on.",
        show_default=False,
    ),
]


@with_training_options
def train(
    data: Data,
    out: Out,
    tracking_uri: TrackingUri = "",
    experiment: Annotated[str, typer.Option(help="Experiment that the run belongs to.")] = "penpress",
    name: Annotated[str, typer.Option(help="Name of the run and its bundle.")] = "candidate",
    **options: Any,
) -> None:
    """Train a candidate model, measure it, and log the run."""
    config = config_of(data, options)
    require_extra()
    from training.progress import progress_bars
    from training.train import Tracking, train_candidate

    with progress_bars() as stage:
        trained = train_candidate(config, out, Tracking(tracking_uri, experiment, name), stage)
    if trained is not None:
        _report(trained.bundle)
        typer.echo(f"run {trained.run_id}")


@with_training_options
def cross_validate(
    data: Data,
    out: Out,
    folds: Annotated[int | None, typer.Option(help="Groups of sources; by default each source is one.", min=2)] = None,
    json: Annotated[Path | None, typer.Option(help="File for the counts, from which the model card takes them.")] = None,
    **options: Any,
) -> None:
    """Tell how a recipe does on sources that it has never seen; the test split stays closed."""
    config = config_of(data, options)
    require_extra()
    from training.cross_validation import by_source, leave_sources_out
    from training.data import read_data_set
    from training.progress import progress_bars
    from training.results import Counted, UnseenSources

    with progress_bars() as stage:
        results = list(leave_sources_out(read_data_set(data, config.labels), config, out, folds=folds, stage=stage))
    counts = by_source(results)
    if json is not None:
        sources = {source: Counted(images=images, right=right) for source, (right, images) in counts.items()}
        UnseenSources(parameters=config.parameters(), folds=len(results), sources=sources).write(json)
    for source, (right, images) in counts.items():
        typer.echo(f"{right / images:.4f}  {right:5} of {images:5}  {source}")
    right, images = (sum(column) for column in zip(*counts.values(), strict=True))
    typer.echo(f"{right / images:.4f}  {right:5} of {images:5}  all {len(counts)} sources, each left out")


def _report(bundle: "Bundle") -> None:
    manifest = bundle.manifest
    for split, metrics in manifest.metrics.items():
        typer.echo(
            f"{split}: accuracy {metrics['accuracy']:.4f}, calibration error {metrics['expected_calibration_error']:.4f}; "
            f"without review {metrics['coverage']:.2%}, of which wrong {metrics['error_when_sure']:.2%}"
        )
    objection = manifest.notes["quantized_left_out_because"]
    typer.echo(f"{bundle.directory} serves {manifest.serve}{f': {objection}' if objection else ''}")
