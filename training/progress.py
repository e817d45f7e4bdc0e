"""How a run says how far it is: each stage counts its images and their rate."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

Advance = Callable[[int], None]
"""Told how many images were done since the last call."""

Stage = Callable[[str, int | None], Advance]
"""Opens a stage with its description and number of images, where that is known."""


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text(f"{speed:.1f} images/s" if speed else "")


@contextmanager
def progress_bars() -> Iterator[Stage]:
    """A bar with a rate for each stage, on the terminal."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), _Rate(), TimeRemainingColumn())
    with Progress(*columns) as progress:

        def stage(description: str, images: int | None) -> Advance:
            task = progress.add_task(description, total=images)
            return lambda done: progress.advance(task, done)

        yield stage


def silent(description: str, images: int | None) -> Advance:
    """A stage that shows nothing."""
    return lambda done: None
