"""Results as a table, CSV or JSON Lines. A table is for people: it shows the first rows and says how many more there are."""

import io
import json
import os
import stat
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Any, TextIO

from rich.console import Console
from rich.table import Table

from penpress.errors import CannotWrite, UnknownFormat
from penpress.results import Result

TABLE_ROWS = 50
PIPED_COLUMNS = 160


class Format(StrEnum):
    """How results are written."""

    TABLE = "table"
    CSV = "csv"
    JSONL = "jsonl"


_ENDINGS = {".csv": Format.CSV, ".jsonl": Format.JSONL, ".ndjson": Format.JSONL}


def parse_format(name: str | None) -> Format | None:
    """The format called `name`. Raises `UnknownFormat`."""
    try:
        return Format(name) if name else None
    except ValueError:
        raise UnknownFormat(f"There is no format {name}; choose csv, jsonl or table.") from None


def choose_format(asked: Format | None, out: Path | None, *, is_terminal: bool) -> Format:
    """What was asked for, else by the ending of `out`, else a table for a terminal and CSV for a pipe.

    Raises `UnknownFormat` when the ending says nothing, or something else than was asked for.
    """
    if out is None:
        return asked or (Format.TABLE if is_terminal else Format.CSV)
    ending = _ENDINGS.get(out.suffix.lower())
    if asked and ending and asked is not ending:
        raise UnknownFormat(f"{out} is a name for {ending}, not for {asked}; change the one or the other.")
    chosen = asked or ending
    if chosen is None:
        raise UnknownFormat(f"The ending of {out} does not say what to write; choose .csv, .jsonl or .ndjson.")
    return chosen


@contextmanager
def open_output(out: Path | None) -> Iterator[TextIO]:
    """Standard output, or the file `out`, which keeps what it held until there is something to write.

    Raises `CannotWrite` at once where it cannot be opened, and later where it cannot be written.
    """
    if out is None:
        yield sys.stdout
        return
    existed = out.exists()
    try:
        raw = _ResultFile(out)
    except OSError as error:
        raise _cannot_write(out, error) from error
    try:
        with io.TextIOWrapper(io.BufferedWriter(raw), encoding="utf-8", newline="") as file:
            yield file
            raw.begin()
    finally:
        if not raw.begun and not existed:
            out.unlink(missing_ok=True)


class _ResultFile(io.FileIO):
    """A file that loses what it held when the first byte is written; what the system refuses is a `CannotWrite`."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, "a")
        self._path, self.begun = path, False

    def begin(self) -> None:
        """Empty the file, unless that was done already."""
        if not self.begun and stat.S_ISREG(os.fstat(self.fileno()).st_mode):
            self.truncate(0)
        self.begun = True

    def write(self, data: Any) -> int:
        """Write some of `data` and say how many bytes that was."""
        try:
            self.begin()
            return super().write(data)
        except OSError as error:
            raise _cannot_write(self._path, error) from error


def _cannot_write(out: Path, error: OSError) -> CannotWrite:
    return CannotWrite(f"The results cannot be written to {out}: {error.strerror or error}.")


def csv_rows(results: Iterable[Result]) -> Iterator[str]:
    """The header and one line per result, in the very format that the service streams."""
    from api.results_format import csv_header, csv_lines, csv_row  # late: it imports the database's models

    yield csv_header()
    for result in results:
        probabilities = result["probabilities"] or {}
        row = csv_row(
            file=result["file"],
            page=result["page"],
            predicted_class=result["predicted_class"],
            confidence=result["confidence"],
            p_handwritten=probabilities.get("handwritten"),
            p_printed=probabilities.get("printed"),
            model_version=result["model_version"],
            status=result["status"],
            reason=result["reason"],
        )
        yield csv_lines([row])


def jsonl_lines(results: Iterable[Result]) -> Iterator[str]:
    """One JSON object per line."""
    for result in results:
        yield json.dumps(result, ensure_ascii=False) + "\n"


def write_table(results: list[Result], total: int, stream: TextIO) -> None:
    """The first rows of `total`, drawn as wide as the terminal, or as `PIPED_COLUMNS` elsewhere."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("FILE", overflow="fold")
    table.add_column("PAGE", justify="right")
    table.add_column("CLASS")
    table.add_column("CONFIDENCE", justify="right")
    table.add_column("")
    for result in results[:TABLE_ROWS]:
        table.add_row(*_cells(result))
    console = Console(file=stream, width=None if stream.isatty() else PIPED_COLUMNS, highlight=False, markup=False)
    console.print(table)
    if total > TABLE_ROWS:
        console.print(f"… and {total - TABLE_ROWS} more; --out results.csv keeps them all.", style="dim")


def _cells(result: Result) -> tuple[str, str, str, str, str]:
    confidence = "" if result["confidence"] is None else f"{result['confidence']:.3f}"
    return result["file"], str(result["page"]), result["predicted_class"] or "", confidence, _remark(result)


def _remark(result: Result) -> str:
    if result["status"] != "succeeded":
        return f"{result['status']}: {result['detail'] or result['reason'] or 'no reason given'}"
    return f"review: {result['reason']}" if result["needs_review"] else ""
