"""Data sets of the Hugging Face hub, streamed, or the same parquet files in a local folder."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from training.data import SPLITS
from training.errors import SourceUnreadable
from training.importing.rows import Position, RawRow

if TYPE_CHECKING:
    from datasets import IterableDataset

HubRow = Mapping[str, Any]

_SPLIT_NAMES = {"train": "train", "valid": "validation", "validation": "validation", "dev": "validation", "test": "test"}


@dataclass(frozen=True, slots=True)
class Place:
    """A data set of the hub, or `folder` with its parquet files, whose names begin with their split."""

    dataset: str
    revision: str | None = None
    folder: Path | None = None


class HubSource:
    """The rows of a data set, split by split; `row_of` makes one out of its columns, its split and its name."""

    def __init__(
        self, place: Place, columns: Mapping[str, str], licence: str, row_of: Callable[[HubRow, str, str], RawRow]
    ) -> None:
        """`columns` names the column of each thing that `row_of` reads; that of `image` holds the encoded file."""
        self._place, self._columns, self._licence, self._row_of = place, columns, licence, row_of
        self._split, self._number = "", 0
        self._stream: IterableDataset | None = None

    @property
    def identity(self) -> Mapping[str, Any]:
        """The data set, its files if they are local, the names of the columns, and the licence."""
        place = asdict(self._place) | {"folder": str(self._place.folder.resolve()) if self._place.folder else None}
        files = [f"{path.name} {path.stat().st_size}" for paths in self._local_files().values() for path in paths]
        return {**place, "files": files, "columns": dict(self._columns), "licence": self._licence}

    def total(self) -> int | None:
        """Counted in local files, else what the hub says."""
        from pyarrow.parquet import read_metadata  # type: ignore[import-untyped]  # it ships no type information

        with self._reading():
            if self._place.folder:
                return sum(int(read_metadata(path).num_rows) for paths in self._local_files().values() for path in paths)
            known = next(iter(self._streams().values())).info.splits
            return sum(int(split.num_examples) for split in known.values()) if known else None

    def rows(self, after: Position | None) -> Iterator[RawRow]:
        """Split by split; a row is named by its split and its number there, from 0."""
        with self._reading():
            streams = self._streams()
            done = after["split"] if after else None
            for split in [split for split in SPLITS if split in streams]:
                if done in (None, split):
                    yield from self._rows_of(split, streams[split], after if done else None)
                    done = None

    def position(self) -> Position:
        """The split, the number of rows read of it, and what its stream needs to go on there."""
        assert self._stream is not None, "a row was given"
        return {"split": self._split, "number": self._number, "stream": self._stream.state_dict()}

    def _rows_of(self, split: str, stream: "IterableDataset", after: Position | None) -> Iterator[RawRow]:
        self._split, self._number, self._stream = split, 0, self._with_encoded_images(stream)
        if after:
            self._number = after["number"]
            self._stream.load_state_dict(after["stream"])
        for row in self._stream:
            self._number += 1
            yield self._row_of(row, split, f"{split}/{self._number - 1:06d}")

    def _with_encoded_images(self, stream: "IterableDataset") -> "IterableDataset":
        from datasets import Image

        for thing, column in self._columns.items():
            if stream.column_names is not None and column not in stream.column_names:
                there = ", ".join(stream.column_names)
                option = f"--{thing.replace('_', '-')}-column"
                raise SourceUnreadable(f"{self._place.dataset} has no column {column}, but {there}; name it with {option}.")
        return stream.cast_column(self._columns["image"], Image(decode=False))

    def _streams(self) -> "dict[str, IterableDataset]":
        from datasets import load_dataset

        if self._place.folder:
            files = {split: [str(path) for path in paths] for split, paths in self._local_files().items()}
            return dict(load_dataset("parquet", data_files=files, streaming=True))
        found = load_dataset(self._place.dataset, revision=self._place.revision, streaming=True)
        return {_SPLIT_NAMES[name]: stream for name, stream in found.items() if name in _SPLIT_NAMES}

    def _local_files(self) -> dict[str, list[Path]]:
        if self._place.folder is None:
            return {}
        files: dict[str, list[Path]] = {}
        for path in sorted(self._place.folder.rglob("*.parquet")):
            split = _SPLIT_NAMES.get(path.name.split("-")[0].removesuffix(".parquet"))
            if split:
                files.setdefault(split, []).append(path)
        if not files:
            raise SourceUnreadable(f"In {self._place.folder} is no parquet file whose name begins with train, valid or test.")
        return files

    @contextmanager
    def _reading(self) -> Iterator[None]:
        import httpx
        from datasets.exceptions import DatasetsError
        from pyarrow import ArrowException  # type: ignore[import-untyped]  # it ships no type information

        try:
            yield
        except (DatasetsError, ArrowException, httpx.HTTPError, OSError) as error:
            reason = (str(error) or type(error).__name__).splitlines()[0].rstrip(".")
            raise SourceUnreadable(f"{self._place.folder or self._place.dataset} cannot be read: {reason}.") from error


def encoded_image(row: HubRow, column: str) -> bytes:
    """The bytes of the image in that column; none where the cell is empty."""
    return bytes((row[column] or {}).get("bytes") or b"")


def text(row: HubRow, column: str) -> str:
    """What the column says, in one line; empty where it says nothing."""
    value = row[column]
    return "" if value is None else " ".join(str(value).split())
