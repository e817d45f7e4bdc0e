"""Count the pages of a TIFF by following its chain of directories, without reading what they describe.

Pillow counts by setting up every page, so that one page of a kind that it does not know spoils the whole document, and a
hostile chain of a million directories takes hours.
"""

import struct
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class _Layout:
    """Where the first directory's offset stands, and how a directory is built: entry count, entries, the next one's offset."""

    first: int
    count: struct.Struct
    entry_bytes: int
    offset: struct.Struct


def _classic(order: str) -> _Layout:
    return _Layout(4, struct.Struct(f"{order}H"), 12, struct.Struct(f"{order}L"))


def _big(order: str) -> _Layout:
    return _Layout(8, struct.Struct(f"{order}Q"), 20, struct.Struct(f"{order}Q"))


_LAYOUTS = {b"II*\0": _classic("<"), b"MM\0*": _classic(">"), b"II+\0": _big("<"), b"MM\0+": _big(">")}


def count_pages(data: bytes, *, at_most: int) -> int:
    """How many directories the chain has, counting no further than `at_most`. A directory that the file is too short for
    counts too: it is a page that was lost, and somebody should hear of it.
    """
    layout = _LAYOUTS.get(data[:4])
    if layout is None:
        return 1
    seen: set[int] = set()
    offset = _number(data, layout.offset, layout.first)
    while offset and offset not in seen and len(seen) < at_most:
        seen.add(offset)
        entries = _number(data, layout.count, offset)
        offset = _number(data, layout.offset, offset + layout.count.size + entries * layout.entry_bytes)
    return max(len(seen), 1)


def _number(data: bytes, kind: struct.Struct, at: int) -> int:
    """The number that stands there, or 0 where the file is too short."""
    return int(kind.unpack_from(data, at)[0]) if at + kind.size <= len(data) else 0
