"""The base of raw files that read another file in a way of their own."""

import io
from typing import BinaryIO


class WrappingFile(io.RawIOBase):
    """A raw file at the place of the one that it wraps; a subclass says in `readinto` what is read there."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def readable(self) -> bool:
        """Always."""
        return True

    def seekable(self) -> bool:
        """Always."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move both."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """The place of both."""
        return self._file.tell()
