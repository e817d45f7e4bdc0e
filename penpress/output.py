"""Results as a table, CSV or JSON Lines. A table is for people: it shows the first rows and says how many more there are."""

import json
from collections.abc import Iterable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import TextIO

from rich.console import Console
from rich.table import Table

from penpress.errors import UnknownFormat
from penpress.results import Result

TABLE_ROWS = 50
PIPED_COLUMNS = 160


class Format(StrEnum):
    """How results are written."""

    TABLE = "table"
    CSV = "csv"
    JSONL = "jsonl"


def parse_format(name: str | None) -> Format | None:
    """The format called `name`. Raises `UnknownFormat`."""
    try:
        return Format(name) if name else None
    except ValueError:
        raise UnknownFormat(f"There is no format {name}; choose csv, jsonl or table.") from None


def choose_format(asked: Format | None, out: Path | None, *, is_terminal: bool) -> Format:
    """What was asked for, else by the ending of `out`, else a table for a terminal and CSV for a pipe."""
    if asked:
        return asked
    if out:
        return Format.JSONL if out.suffix.lower() in (".jsonl", ".ndjson") else Format.CSV
    return Format.TABLE if is_terminal else Format.CSV


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
    return "review" if result["needs_review"] else ""
