"""What `penpress up` and `penpress jobs` show."""

from collections.abc import Iterable
from itertools import islice

from rich.console import Console
from rich.table import Table

from penpress import __version__
from penpress.client import Job
from penpress.output import PIPED_COLUMNS
from penpress.up import Up

_SHOWN_JOBS = 50
_console = Console(highlight=False, markup=False)


class Terminal:
    """Tells how an `up` is going."""

    def starting(self, run: Up) -> None:
        """Say what is about to start."""
        _console.print(f"Starting Penpress {__version__} in {run.home} …", style="dim", soft_wrap=True)

    def ready(self, run: Up, url: str) -> None:
        """Say where the service is, what it consists of, how to use it and how to stop it."""
        _console.print(f"\nPenpress is ready at {url}\n", style="bold green", soft_wrap=True)
        settings = run.settings
        facts = {
            "Postgres": "as configured" if settings.database_url else str(run.home / "postgres"),
            "Redis": "as configured" if settings.redis_url else "in memory, for messages only",
            "Worker": f"{run.processes} process" + ("es" if run.processes > 1 else ""),
            "Logs": str(run.home / "logs"),
            "Classify": "penpress classify FOLDER",
            "Stop": "Ctrl-C",
        }
        for name, fact in facts.items():
            _console.print(f"{name:10}{fact}", soft_wrap=True)

    def stopping(self) -> None:
        """Say that the stop was understood."""
        _console.print("\nStopping …", style="dim")


def show_jobs(jobs: Iterable[Job]) -> None:
    """The newest jobs as a table."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("ID", no_wrap=True)
    table.add_column("STATE", no_wrap=True)
    for name in ("ITEMS", "DONE", "FAILED", "IMAGES/S"):
        table.add_column(name, justify="right")
    table.add_column("CREATED", no_wrap=True)
    for job in islice(jobs, _SHOWN_JOBS):
        counts, rate = job["counts"], job["images_per_second"]
        numbers = [str(counts.get(name) or 0) for name in ("total", "processed", "failed")]
        created = job["created_at"][:19].replace("T", " ")
        table.add_row(job["id"], job["state"], *numbers, "" if rate is None else f"{rate:.1f}", created)
    if table.row_count:
        (_console if _console.is_terminal else Console(width=PIPED_COLUMNS)).print(table)
    else:
        _console.print("There are no jobs yet.")
