"""Images in folders, one for each class in one for each split, or listed in a CSV."""

import csv
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from training.data import SPLITS
from training.errors import SourceUnreadable
from training.importing.rows import Position, RawRow

_METADATA = "metadata.csv"


@dataclass(frozen=True, slots=True)
class Entry:
    """A file below the folder, and what is said of it."""

    file: str
    label: str = ""
    split: str = ""
    group: str = ""
    source: str = ""
    century: str = ""
    licence: str = ""


class FolderSource:
    """The images of a folder or of a CSV; `source` and `licence` stand in where it names none. Raises `SourceUnreadable`."""

    def __init__(self, path: Path, *, source: str = "", licence: str = "") -> None:
        """Lists the files, and reads none."""
        self._root = path if path.is_dir() else path.parent
        entries = list_folder(path) if path.is_dir() else list(read_listing(path))
        self._entries = [replace(entry, source=entry.source or source, licence=entry.licence or licence) for entry in entries]
        self._number = 0

    @property
    def identity(self) -> Mapping[str, Any]:
        """The folder, what is listed in it, and when the files changed last."""
        listed = "\n".join(f"{asdict(entry)} {self._last_change(entry.file)}" for entry in self._entries)
        return {"folder": str(self._root.resolve()), "listed": hashlib.sha256(listed.encode()).hexdigest()}

    def total(self) -> int:
        """As many as are listed."""
        return len(self._entries)

    def rows(self, after: Position | None) -> Iterator[RawRow]:
        """In the order of the listing."""
        self._number = after["number"] if after else 0
        for entry in self._entries[self._number :]:
            self._number += 1
            yield RawRow(data=self._read(entry.file), **asdict(entry))

    def position(self) -> Position:
        """The number of rows given."""
        return {"number": self._number}

    def _last_change(self, file: str) -> int | None:
        path = self._root / file
        return path.stat().st_mtime_ns if path.is_file() else None

    def _read(self, file: str) -> bytes | None:
        path = self._root / file
        return path.read_bytes() if path.is_file() else None


def list_folder(root: Path) -> list[Entry]:
    """The files in split/class/ or class/, by name, and those that metadata.csv alone knows; it says more of each.

    A folder below that of the class names the document, where metadata.csv does not.
    """
    metadata = root / _METADATA
    said = {entry.file: entry for entry in read_listing(metadata, needs=("file",))} if metadata.is_file() else {}
    found = {}
    for path in sorted(root.rglob("*")):
        inner = path.relative_to(root)
        if len(inner.parts) > 1 and not any(part.startswith(".") for part in inner.parts) and path.is_file():
            file = inner.as_posix()
            found[file] = _placed(file, said.get(file, Entry(file)))
    return [*found.values(), *(entry for file, entry in said.items() if file not in found)]


def _placed(file: str, said: Entry) -> Entry:
    """What its place says of a file goes before what metadata.csv says."""
    folders = PurePosixPath(file).parent.parts
    split, below = (folders[0], folders[1:]) if folders[0] in SPLITS else (said.split, folders)
    label, document = (below[0], below[1:]) if below else ("", ())
    return replace(said, label=label.lower(), split=split, group=said.group or "/".join(document))


def read_listing(path: Path, *, needs: Sequence[str] = ("file", "label")) -> Iterator[Entry]:
    """The rows of a CSV with the columns that it `needs` and whatever it has of label, split, group, source, century, licence.

    `document` and `source_repo` are other names for group and source; a document is told apart by its source too.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            columns = reader.fieldnames or ()
            if missing := [column for column in needs if column not in columns]:
                raise SourceUnreadable(f"{path} has no column {' and no column '.join(missing)}.")
            for number, row in enumerate(reader, start=2):
                yield _listed({name: (row.get(name) or "").strip() for name in columns}, f"{path}, line {number}")
    except UnicodeDecodeError as error:
        raise SourceUnreadable(f"{path} is not UTF-8; save it as CSV UTF-8.") from error


def _listed(row: Mapping[str, str], where: str) -> Entry:
    split = row.get("split", "")
    if split and split not in SPLITS:
        raise SourceUnreadable(f"{where}: there is no split {split}; write one of {', '.join(SPLITS)}, or leave it empty.")
    source = row.get("source") or row.get("source_repo", "")
    document = row.get("document", "")
    group = row.get("group") or (f"{source}/{document}" if source and document else document)
    return Entry(
        file=row["file"],
        label=row.get("label", "").lower(),
        split=split,
        group=group,
        source=source,
        century=row.get("century", ""),
        licence=row.get("licence", ""),
    )
