"""What an import has read so far, in a folder beside the data set to be: it goes on there after an interruption.

A part is a file of good rows and a note of what else was read with them; it counts as soon as the note is there, which is
written last and under another name until it is whole.
"""

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from registry.locking import Leadership
from training.data import COLUMNS
from training.errors import ImportRunning, ImportUnlike, NothingImported
from training.importing.check import BadRow, GoodRow
from training.importing.rows import Position

if TYPE_CHECKING:
    from datasets import Dataset, Features

_FULL_BYTES = 64 * 1024**2
_FULL_ROWS = 2000


@dataclass(slots=True)
class Part:
    """Rows that are kept together; small enough to be lost, and to lie in memory."""

    good: list[GoodRow] = field(default_factory=list)
    bad: list[BadRow] = field(default_factory=list)

    def add(self, row: GoodRow | BadRow) -> None:
        """Take in one row."""
        if isinstance(row, GoodRow):
            self.good.append(row)
        else:
            self.bad.append(row)

    def is_full(self) -> bool:
        """Whether it should be kept now."""
        return len(self.good) + len(self.bad) >= _FULL_ROWS or sum(len(row.data) for row in self.good) >= _FULL_BYTES


class Parts:
    """The parts in a folder, in the order in which they were read."""

    def __init__(self, folder: Path) -> None:
        """Reads the notes of those that count."""
        self._folder = folder
        self._notes: list[dict[str, Any]] = []
        while self._note_path(len(self._notes)).is_file():
            self._notes.append(json.loads(self._note_path(len(self._notes)).read_text(encoding="utf-8")))

    @property
    def position(self) -> Position | None:
        """Where the source was when the last part was kept; None before the first."""
        return self._notes[-1]["position"] if self._notes else None

    @property
    def rows_read(self) -> int:
        """How many rows were read from the source."""
        return self._notes[-1]["rows_read"] if self._notes else 0

    @property
    def bad_rows(self) -> list[BadRow]:
        """The bad rows of all parts."""
        return [BadRow(**row) for note in self._notes for row in note["bad"]]

    def keep(self, part: Part, position: Position, rows_read: int) -> None:
        """Write a part; `rows_read` counts from the beginning of the source."""
        number = len(self._notes)
        if part.good:
            _write_rows(part.good, self._rows_path(number))
        bad = [asdict(row) for row in part.bad]
        note = {"good": len(part.good), "bad": bad, "position": position, "rows_read": rows_read}
        write_whole(self._note_path(number), json.dumps(note))
        self._notes.append(note)

    def table(self) -> "Dataset | None":
        """The good rows of all parts, memory-mapped; None if there are none."""
        from datasets import Dataset, concatenate_datasets

        paths = [self._rows_path(number) for number, note in enumerate(self._notes) if note["good"]]
        return concatenate_datasets([Dataset.from_file(str(path)) for path in paths]) if paths else None

    def _rows_path(self, number: int) -> Path:
        return self._folder / f"part-{number:05d}.arrow"

    def _note_path(self, number: int) -> Path:
        return self._folder / f"part-{number:05d}.json"


@contextmanager
def opened_parts(out: Path, options: Mapping[str, Any]) -> Iterator[Parts]:
    """The parts of the import into `out`; a second process is refused, and so are parts that were read with other options.

    They are gone once they have served, or if none has a good row. Raises `ImportRunning` or `ImportUnlike`.
    """
    folder = workplace(out)
    lock = Leadership(folder / "lock")
    if not lock.claim():
        raise ImportRunning(f"Another import into {out} is running.")
    try:
        parts = Parts(folder)
        _refuse_other_options(folder, options, parts)
        yield parts
        shutil.rmtree(folder)
    except NothingImported:
        shutil.rmtree(folder)
        raise
    finally:
        lock.resign()


def workplace(out: Path) -> Path:
    """The folder for what is not complete yet: beside `out`, so that moving it there takes one step."""
    return out.with_name(f"{out.name}.importing")


def _refuse_other_options(folder: Path, options: Mapping[str, Any], parts: Parts) -> None:
    path = folder / "options.json"
    wanted = json.loads(json.dumps(options))
    if parts.position is None:  # nothing was read: there is nothing to go on with
        write_whole(path, json.dumps(wanted, indent=2))
        return
    begun = json.loads(path.read_text(encoding="utf-8"))
    if begun != wanted:
        raise ImportUnlike(
            f"In {folder} lies an import that was begun with {differing(begun, wanted)}: "
            "call it with the same options to go on, or remove that folder to begin anew."
        )


def differing(begun: Mapping[str, Any], wanted: Mapping[str, Any]) -> str:
    """Which options of two imports differ, for a sentence."""
    names = [name for name in {**begun, **wanted} if begun.get(name) != wanted.get(name)]
    return f"other options ({', '.join(name.replace('_', ' ') for name in names)})"


def write_whole(path: Path, text: str) -> None:
    """Write a file that is there whole or not at all."""
    writing = path.with_name(f"{path.name}.writing")
    writing.write_text(text, encoding="utf-8")
    writing.replace(path)


def part_features() -> "Features":
    """The columns of a part: those of the data set, the split that the source gave, and the picture's SHA-256."""
    from datasets import Features, Image, Value

    return Features({"image": Image(), **{name: Value("string") for name in (*COLUMNS[1:], "split", "pixels")}})


def _write_rows(rows: list[GoodRow], path: Path) -> None:
    import pyarrow as pa  # type: ignore[import-untyped]  # it ships no type information

    table = pa.Table.from_pylist([row.columns() for row in rows], schema=part_features().arrow_schema)
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, table.schema) as stream:
        stream.write_table(table, max_chunksize=100)
