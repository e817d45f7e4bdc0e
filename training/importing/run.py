"""One import, from the source to the data set on disk."""

import json
import shutil
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from training.errors import ImportUnlike, NothingImported
from training.importing.check import examine
from training.importing.parts import Part, Parts, differing, opened_parts, workplace
from training.importing.plan import Candidate, Choices, is_in_subset, plan_splits
from training.importing.publish import Report, publish, quiet_datasets, read_report
from training.importing.rows import RawRow, Source
from training.progress import Stage

if TYPE_CHECKING:
    from datasets import Dataset

_WINDOW = 64
"""Rows that are examined at a time: enough for all threads, few in memory."""


@dataclass(frozen=True, slots=True)
class Task:
    """What to import, which share of its documents, and how to split it. `threads` decode at the same time."""

    kind: str
    source: Source
    choices: Choices = field(default_factory=Choices)
    subset: float = 1.0
    threads: int = 2

    def read_options(self) -> dict[str, Any]:
        """What decides which rows are read: an interrupted import goes on only with the same ones."""
        subset = {"fraction": self.subset, "seed": self.choices.seed} if self.subset < 1 else None
        return {"importer": self.kind, **self.source.identity, "subset": subset}

    def options(self) -> dict[str, Any]:
        """Everything that decides what is imported."""
        described: dict[str, Any] = json.loads(json.dumps(self.read_options() | asdict(self.choices)))
        return described


def import_data(task: Task, out: Path, stage: Stage) -> Report:
    """Make the data set in `out`, or go on with making it; one that is complete stays as it is. Raises a `DataSetError`."""
    complete = find_complete(out, task)
    if complete:
        shutil.rmtree(workplace(out), ignore_errors=True)  # left by a kill in the last moment
        return complete
    with quiet_datasets(), opened_parts(out, task.read_options()) as parts:
        read_rows(task, parts, stage)
        table = parts.table()
        if table is None:
            raise NothingImported(_explain(parts))
        rows = _candidates(table)
        advance = stage("writing", len(rows))
        report = publish(out, table, rows, plan_splits(rows, task.choices), parts.bad_rows, task.options())
        advance(len(rows))
    return report


def find_complete(out: Path, task: Task) -> Report | None:
    """The report of the same import if it is complete. Raises `ImportUnlike` if something else is in `out`."""
    report = read_report(out)
    if report is None:
        if out.exists() and any(out.iterdir()):
            raise ImportUnlike(f"{out} is not empty, and no import made it; choose another folder.")
        return None
    if report.options != task.options():
        other = differing(report.options, task.options())
        raise ImportUnlike(f"The data set in {out} was made with {other}; choose another folder, or remove it.")
    return report


def read_rows(task: Task, parts: Parts, stage: Stage) -> None:
    """Read what is not in `parts` yet, and keep it there."""
    advance = stage("reading", task.source.total())
    advance(parts.rows_read)
    rows, part, rows_read = task.source.rows(parts.position), Part(), parts.rows_read
    with ThreadPoolExecutor(task.threads) as pool:
        while window := list(islice(rows, _WINDOW)):
            for row in pool.map(examine, [row for row in window if _is_wanted(row, task)]):
                part.add(row)
            rows_read += len(window)
            advance(len(window))
            if part.is_full():
                parts.keep(part, task.source.position(), rows_read)
                part = Part()
    if part.good or part.bad:
        parts.keep(part, task.source.position(), rows_read)


def _is_wanted(row: RawRow, task: Task) -> bool:
    return task.subset >= 1 or is_in_subset(row.group or row.file, task.subset, task.choices.seed)


def _candidates(table: "Dataset") -> list[Candidate]:
    names = ("file", "label", "group", "split", "pixels")
    return [Candidate(*values) for values in zip(*(table.data[name].to_pylist() for name in names), strict=True)]


def _explain(parts: Parts) -> str:
    bad = parts.bad_rows
    if not bad:
        return "There is nothing to import: the source has no rows, or none in the subset."
    reasons = ", ".join(f"{number} {reason}" for reason, number in Counter(row.reason for row in bad).most_common())
    return f"No image can be used: {reasons}. The first is {bad[0].file}: {bad[0].detail}"
