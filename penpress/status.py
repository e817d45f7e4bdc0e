"""What `penpress up` and `penpress jobs` show."""

from collections.abc import Iterable
from itertools import islice
from pathlib import Path

from rich.console import Console
from rich.table import Table

from penpress import __version__
from penpress.client import Job
from penpress.up import Up

_SHOWN_JOBS = 50
_console = Console(highlight=False, markup=False)


def show_starting(home: Path) -> None:
    """Say what is about to start."""
    _console.print(f"Starting Penpress {__version__} in {home} …", style="dim")


def show_ready(run: Up, url: str) -> None:
    """Say where the service is, what it consists of, how to use it and how to stop it."""
    _console.print(f"\nPenpress is ready at {url}\n", style="bold green", soft_wrap=True)
    facts = Table.grid(padding=(0, 3))
    settings = run.settings
    facts.add_row("Postgres", "as configured" if settings.database_url else str(run.home / "postgres"))
    facts.add_row("Redis", "as configured" if settings.redis_url else "in memory, for messages only")
    facts.add_row("Worker", f"{run.processes} process" + ("es" if run.processes > 1 else ""))
    facts.add_row("Logs", str(run.home / "logs"))
    facts.add_row("Classify", "penpress classify FOLDER")
    facts.add_row("Stop", "Ctrl-C")
    _console.print(facts)


def show_stopping() -> None:
    """Say that the stop was understood."""
    _console.print("\nStopping …", style="dim")


def show_jobs(jobs: Iterable[Job]) -> None:
    """The newest jobs as a table."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("ID", no_wrap=True)
    table.add_column("STATE")
    for name in ("ITEMS", "DONE", "FAILED", "IMAGES/S"):
        table.add_column(name, justify="right")
    table.add_column("CREATED", no_wrap=True)
    for job in islice(jobs, _SHOWN_JOBS):
        counts, rate = job["counts"], job["images_per_second"]
        numbers = [str(counts.get(name) or 0) for name in ("total", "processed", "failed")]
        created = job["created_at"][:19].replace("T", " ")
        table.add_row(job["id"], job["state"], *numbers, "" if rate is None else f"{rate:.1f}", created)
    if table.row_count:
        _console.print(table)
    else:
        _console.print("There are no jobs yet.")
