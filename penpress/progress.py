"""Progress bars on standard error, and none where that is not a terminal."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.text import Text


class Meter:
    """One bar: tell it where things stand."""

    def __init__(self, progress: Progress, label: str, total: int | None) -> None:
        self._progress = progress
        self._task = progress.add_task(label, total=total)

    def update(self, completed: int, total: int | None = None) -> None:
        """`completed` of `total`, where the latter is known by now."""
        self._progress.update(self._task, completed=completed, total=total)


@contextmanager
def upload_meter(name: str, size_bytes: int) -> Iterator[Meter]:
    """A bar for an upload."""
    with _progress(DownloadColumn(binary_units=True), TransferSpeedColumn(), TimeRemainingColumn()) as progress:
        yield Meter(progress, f"Uploading {name}", size_bytes)


@contextmanager
def classification_meter(total: int | None) -> Iterator[Meter]:
    """A bar for images, with their rate and the time that remains."""
    with _progress(MofNCompleteColumn(), _ImagesPerSecond(), TimeRemainingColumn()) as progress:
        yield Meter(progress, "Classifying", total)


def _progress(*columns: ProgressColumn) -> Progress:
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        *columns,
        console=Console(stderr=True),
        transient=True,
        disable=not sys.stderr.isatty(),
    )


class _ImagesPerSecond(ProgressColumn):
    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:.1f} images/s", style="progress.data.speed")
