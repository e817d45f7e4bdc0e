"""What `penpress up`, `penpress jobs` and `penpress keys list` show."""

from collections.abc import Iterable
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from penpress import __version__
from penpress.client import Job
from penpress.output import PIPED_COLUMNS

if TYPE_CHECKING:
    from penpress.up import Up
    from store.models import Key

_SHOWN_JOBS = 50
_console = Console(highlight=False, markup=False)


class Terminal:
    """Tells how an `up` is going."""

    def starting(self, run: "Up") -> None:
        """Say what is about to start."""
        _console.print(f"Starting Penpress {__version__} in {run.home} …", style="dim", soft_wrap=True)

    def ready(self, run: "Up", url: str) -> None:
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
    _print(table, otherwise="There are no jobs yet.")


def show_keys(keys: "Iterable[Key]") -> None:
    """Every key as a table, without its secrets."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in ("ID", "NAME", "SCOPES", "LIMITS", "CREATED", "STATE"):
        table.add_column(name, no_wrap=name != "LIMITS")
    for key in keys:
        state = f"revoked {_moment(key.revoked_at)}" if key.revoked_at else "in use"
        table.add_row(str(key.id), key.name, ", ".join(key.scopes), _limits(key), _moment(key.created_at), state)
    _print(table, otherwise="There are no keys: the service answers this machine only, and whoever is on it.")


def _limits(key: "Key") -> str:
    names = ("max_open_jobs", "max_stored_bytes", "max_requests_per_minute")
    return ", ".join(f"{name} {value}" for name in names if (value := getattr(key, name)) is not None)


def _moment(time: datetime) -> str:
    return time.isoformat(sep=" ", timespec="seconds")


def _print(table: Table, *, otherwise: str) -> None:
    if table.row_count:
        (_console if _console.is_terminal else Console(width=PIPED_COLUMNS)).print(table)
    else:
        _console.print(otherwise, soft_wrap=True)
