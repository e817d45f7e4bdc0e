"""Results as lines of text: CSV for spreadsheets, NDJSON for programs."""

import json
from collections.abc import Iterable, Sequence
from typing import Any

from store.models import Prediction

CSV_COLUMNS = (
    "FILE",
    "PAGE",
    "CLASS",
    "CONFIDENCE",
    "P_HANDWRITTEN",
    "P_PRINTED",
    "MODEL_VERSION",
    "STATUS",
    "REASON",
)

# A spreadsheet takes a cell that begins so for a formula and runs it when the file is opened.
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def csv_header() -> str:
    """The first line; the names of the columns are ours and need no quotes."""
    return ",".join(CSV_COLUMNS) + "\n"


def csv_lines(rows: Iterable[Sequence[Any]]) -> str:
    """Rows as CSV (RFC 4180, but for the line ends, which are bare line feeds); None becomes an empty cell.

    Text is always quoted: a spreadsheet whose list separator is the semicolon would split a bare `a;=1+1.jpg` in two
    and run the second half.
    """
    return "".join(",".join(map(_cell, row)) + "\n" for row in rows)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return '"' + value.replace('"', '""') + '"'
    return str(value)


def csv_row(
    *,
    file: str,
    page: int,
    predicted_class: str | None,
    confidence: float | None,
    p_handwritten: float | None,
    p_printed: float | None,
    model_version: str | None,
    status: str,
    reason: str | None,
) -> tuple[Any, ...]:
    """One result in the order of `CSV_COLUMNS`."""
    probabilities = (_rounded(confidence), _rounded(p_handwritten), _rounded(p_printed))
    return (safe_cell(file), page, predicted_class, *probabilities, model_version, status, reason)


def safe_cell(text: str) -> str:
    """`text` such that no spreadsheet takes it for a formula: an apostrophe is put before it where needed."""
    return f"'{text}" if text.startswith(_FORMULA_STARTS) else text


def prediction_csv_row(row: Prediction) -> tuple[Any, ...]:
    """A database row in the order of `CSV_COLUMNS`."""
    return csv_row(
        file=row.file,
        page=row.page,
        predicted_class=row.predicted_class,
        confidence=row.confidence,
        p_handwritten=row.p_handwritten,
        p_printed=row.p_printed,
        model_version=row.model_version,
        status=row.status.value,
        reason=row.reason,
    )


def ndjson_lines(objects: Iterable[dict[str, Any]]) -> str:
    """One JSON object a line."""
    return "".join(json.dumps(fields, ensure_ascii=False) + "\n" for fields in objects)


def _rounded(probability: float | None) -> float | None:
    return None if probability is None else round(probability, 6)
