"""Write the data set and its reports, and let them appear complete or not at all."""

import csv
import json
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from training.data import COLUMNS, SPLITS
from training.importing.check import BadRow
from training.importing.parts import workplace
from training.importing.plan import NOWHERE, Candidate, duplicates

if TYPE_CHECKING:
    from datasets import Dataset

REPORT = "import.json"

_ROWS_PER_FILE = 5000


@dataclass(frozen=True, slots=True)
class Report:
    """What an import made: images by split and label, bad rows by reason, rows whose picture was there before.

    `left_out` rows were copies of a picture in another split, `lone` ones name no document and count as one of their own.
    """

    options: Mapping[str, Any]
    images: Mapping[str, Mapping[str, int]]
    bad_rows: Mapping[str, int]
    duplicates: int
    left_out: int
    lone: int


def publish(
    out: Path,
    table: "Dataset",
    rows: Sequence[Candidate],
    splits: Sequence[str],
    bad: Sequence[BadRow],
    options: Mapping[str, Any],
) -> Report:
    """Write the rows of `table` in their `splits` to `out`, with the report, the bad rows and the duplicates."""
    report = _summarise(rows, splits, bad, options)
    ready = workplace(out) / "ready"
    shutil.rmtree(ready, ignore_errors=True)
    _write_tables(table, splits, ready)
    _write_csv(ready / "bad_rows.csv", ("file", "reason", "detail"), (asdict(row).values() for row in bad))
    _write_csv(ready / "duplicates.csv", ("picture", "file", "split", "label", "group"), _copies(rows, splits))
    (ready / REPORT).write_text(json.dumps(asdict(report), indent=2, ensure_ascii=False), encoding="utf-8")
    ready.replace(out)
    return report


def read_report(out: Path) -> Report | None:
    """The report of the import that made `out`; None if none did."""
    path = out / REPORT
    return Report(**json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else None


@contextmanager
def quiet_datasets() -> Iterator[None]:
    """Keep the library from drawing progress bars between ours."""
    from datasets import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars

    were_disabled = are_progress_bars_disabled()
    disable_progress_bars()
    try:
        yield
    finally:
        if not were_disabled:
            enable_progress_bars()


def _summarise(rows: Sequence[Candidate], splits: Sequence[str], bad: Sequence[BadRow], options: Mapping[str, Any]) -> Report:
    kept = [(split, row) for row, split in zip(rows, splits, strict=True) if split != NOWHERE]
    counts = Counter((split, row.label) for split, row in kept)
    labels = sorted({row.label for row in rows})
    return Report(
        options=options,
        images={split: {label: counts[split, label] for label in labels} for split in SPLITS},
        bad_rows=dict(Counter(row.reason for row in bad).most_common()),
        duplicates=sum(len(numbers) - 1 for numbers in duplicates(rows)),
        left_out=len(rows) - len(kept),
        lone=sum(row.is_lone for _, row in kept),
    )


def _write_tables(table: "Dataset", splits: Sequence[str], folder: Path) -> None:
    from datasets import DatasetDict

    numbers: dict[str, list[int]] = {split: [] for split in SPLITS}
    for number, split in enumerate(splits):
        if split != NOWHERE:
            numbers[split].append(number)
    columns = table.select_columns(list(COLUMNS))
    files = {split: 1 + len(numbers[split]) // _ROWS_PER_FILE for split in SPLITS}  # at least one, or it cannot be read again
    DatasetDict({split: columns.select(numbers[split]) for split in SPLITS}).save_to_disk(folder, num_shards=files)


def _copies(rows: Sequence[Candidate], splits: Sequence[str]) -> Iterator[tuple[str, ...]]:
    for numbers in duplicates(rows):
        for number in numbers:
            row = rows[number]
            yield row.pixels, row.file, splits[number] or "left out", row.label, row.group


def _write_csv(path: Path, columns: Sequence[str], rows: Iterable[Iterable[str]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(rows)
