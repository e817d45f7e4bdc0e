"""A file of which some bytes are read as others."""

import io
from typing import TYPE_CHECKING, BinaryIO, cast

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer


def overlaid(file: BinaryIO, at: int, data: bytes) -> BinaryIO:
    """`file` with `data` in place of what stands at `at`; closing it leaves `file` open."""
    return cast(BinaryIO, _Overlaid(file, at, data))


class _Overlaid(io.RawIOBase):
    def __init__(self, file: BinaryIO, at: int, data: bytes) -> None:
        self._file, self._at, self._data = file, at, data

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int:
        view = memoryview(buffer)
        start = self._file.tell()
        piece = bytearray(self._file.read(len(view)))
        first, last = max(start, self._at), min(start + len(piece), self._at + len(self._data))
        if first < last:
            piece[first - start : last - start] = self._data[first - self._at : last - self._at]
        view[: len(piece)] = piece
        return len(piece)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()
