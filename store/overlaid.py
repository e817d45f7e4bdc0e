"""A file of which some bytes are read as others."""

from typing import TYPE_CHECKING, BinaryIO, cast

from store.raw_files import WrappingFile

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer


def overlaid(file: BinaryIO, at: int, data: bytes) -> BinaryIO:
    """`file` with `data` in place of what stands at `at`; closing it leaves `file` open."""
    return cast(BinaryIO, _Overlaid(file, at, data))


class _Overlaid(WrappingFile):
    def __init__(self, file: BinaryIO, at: int, data: bytes) -> None:
        super().__init__(file)
        self._at, self._data = at, data

    def readinto(self, buffer: "WriteableBuffer") -> int:
        view = memoryview(buffer)
        start = self._file.tell()
        piece = bytearray(self._file.read(len(view)))
        first, last = max(start, self._at), min(start + len(piece), self._at + len(self._data))
        if first < last:
            piece[first - start : last - start] = self._data[first - self._at : last - self._at]
        view[: len(piece)] = piece
        return len(piece)
