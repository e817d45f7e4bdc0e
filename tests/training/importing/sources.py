"""Sources that a test makes: parquet files as the hub has them, folders, and rows given by hand."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from datasets import Features, Image, Value
from PIL import Image as Pictures

from tests.pictures import encoded
from training.importing.plan import Choices
from training.importing.rows import Position, RawRow
from training.importing.run import Task

Row = dict[str, Any]

CATMUS = Features(
    {
        "im": Image(),
        **{
            name: Value("string")
            for name in (
                "writing_type",
                "text",
                "language",
                "region",
                "line_type",
                "project",
                "gen_split",
                "shelfmark",
                "genre",
            )
        },
        "not_before": Value("int64"),
        "not_after": Value("int64"),
        "color": Value("bool"),
    }
)
CORTO = Features({"image": Image(), "text": Value("string")})


def drawn(number: int, image_format: str = "PNG", mode: str = "RGB") -> bytes:
    """A picture that differs from that of every other number."""
    return encoded(Pictures.new("RGB", (40, 12), (number % 256, number // 256, 90)).convert(mode), image_format)


def catmus_row(number: int, **changes: Any) -> Row:
    """A row of CATMuS/modern; every ten lines are of one document."""
    row = {
        "im": {"bytes": drawn(number), "path": None},
        "writing_type": "printed" if number // 10 % 2 else "handwritten",
        "shelfmark": f"BnF, fr. {number // 10}",
        "project": "Gallicorpora",
        "gen_split": "train",
        "not_before": 1701,
        "not_after": 1800,
        "color": True,
    }
    return row | changes


def corto_row(number: int, **changes: Any) -> Row:
    """A row of corto-ai/handwritten-text."""
    return {"image": {"bytes": drawn(10 * number, mode="L"), "path": f"{number}.png"}, "text": "a line"} | changes


def write_parquet(path: Path, rows: Sequence[Row], features: Features) -> Path:
    """Write rows to a parquet file; the answer is its folder."""
    path.parent.mkdir(exist_ok=True)
    pq.write_table(pa.Table.from_pylist(list(rows), schema=features.arrow_schema), path)
    return path.parent


class GivenRows:
    """A source of rows that a test made; it breaks before row `breaks_at`, as if somebody had pressed Ctrl-C."""

    def __init__(self, rows: Sequence[RawRow], *, breaks_at: int | None = None) -> None:
        self._rows, self._breaks_at, self._number = rows, breaks_at, 0
        self.given: list[str] = []

    @property
    def identity(self) -> Mapping[str, Any]:
        return {"rows": len(self._rows)}

    def total(self) -> int:
        return len(self._rows)

    def rows(self, after: Position | None) -> Iterator[RawRow]:
        self._number = after["number"] if after else 0
        for row in self._rows[self._number :]:
            if self._number == self._breaks_at:
                raise KeyboardInterrupt
            self._number += 1
            self.given.append(row.file)
            yield row

    def position(self) -> Position:
        return {"number": self._number}


def given_row(number: int, **changes: Any) -> RawRow:
    """A good row: ten rows a document, which one split holds."""
    document = number // 10
    values = {
        "file": f"{number}.png",
        "data": drawn(number),
        "label": ("handwritten", "printed")[document % 2],
        "split": ("train", "validation", "test")[document // 2 % 3],
        "group": f"document {document}",
    }
    return RawRow(**(values | changes))


def task(source: Any, **choices: Any) -> Task:
    """An import with these choices."""
    return Task("given", source, Choices(**choices))
