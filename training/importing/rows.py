"""What a source of labelled images gives, row by row, before anything is checked."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

LABELS = ("handwritten", "printed", "typewritten")
"""What a row may be labelled; which of them a model is trained for is up to the training."""

Position = Mapping[str, Any]
"""Where in its source a row stands, as JSON can hold it."""


@dataclass(frozen=True, slots=True)
class RawRow:
    """One image as its source has it. `data` is None where the file is missing; text is empty where the source says nothing.

    Without a group, the image counts as a document of its own; without a split, the group decides.
    """

    file: str
    data: bytes | None = field(repr=False)
    label: str
    split: str = ""
    group: str = ""
    source: str = ""
    century: str = ""
    licence: str = ""


class Source(Protocol):
    """Labelled images that can be read again from where a reader stopped."""

    @property
    def identity(self) -> Mapping[str, Any]:
        """Everything that decides which rows come, and in which order, as JSON can hold it."""

    def total(self) -> int | None:
        """How many rows there are, where the source knows."""

    def rows(self, after: Position | None) -> Iterator[RawRow]:
        """The rows behind a position, or all. Raises `SourceUnreadable`."""

    def position(self) -> Position:
        """The position of the row that was given last."""
