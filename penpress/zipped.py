"""Plain files as one zip that exists only while it is sent: stored, of a size that is known beforehand."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from zipfile import is_zipfile

from zipstream import ZIP_STORED, ZipStream

from penpress.errors import NoSuchPath, NotAZip
from penpress.sources import SourceFile

_CHUNK_BYTES = 1024**2


@dataclass(frozen=True, slots=True)
class Chunks:
    """The bytes of a zip, read anew by each who iterates, so that it can be sent again."""

    read: Callable[[], Iterator[bytes]]

    def __iter__(self) -> Iterator[bytes]:
        return self.read()


def zip_of_files(files: Iterable[SourceFile]) -> tuple[Chunks, int]:
    """The chunks of the zip, and its size in bytes. Raises `NoSuchPath` when a file has gone or changes while it is sent."""
    kept = list(files)
    size = len(_stream_of(kept))
    return Chunks(lambda: _chunks_of_stream(_stream_of(kept), size)), size


def zip_file(path: Path) -> tuple[Chunks, int]:
    """The chunks of a zip as it lies on disk, and its size in bytes. Raises `NoSuchPath` when it has gone."""
    try:
        return Chunks(lambda: _chunks_of_file(path)), path.stat().st_size
    except OSError as error:
        raise _unreadable(error, path) from error


def check_zips(paths: Iterable[Path]) -> None:
    """Raises `NotAZip` or `NoSuchPath` for the first of `paths` that is no zip or cannot be read."""
    for path in paths:
        try:
            with path.open("rb") as file:
                is_zip = is_zipfile(file)
        except OSError as error:
            raise _unreadable(error, path) from error
        if not is_zip:
            raise NotAZip(f"{path} is not a zip; nothing was sent.")


def _stream_of(files: Iterable[SourceFile]) -> ZipStream:
    stream = ZipStream(compress_type=ZIP_STORED, sized=True)
    try:
        for file in files:
            stream.add_path(str(file.path), file.name, recurse=False)
        len(stream)
    except OSError as error:
        raise _unreadable(error) from error
    return stream


def _chunks_of_stream(stream: ZipStream, size: int) -> Iterator[bytes]:
    if len(stream) != size:
        raise NoSuchPath("A file changed while it was sent.")
    try:
        yield from stream
    except OSError as error:
        raise _unreadable(error) from error
    except RuntimeError as error:  # what zipstream raises when a file no longer has the size that was promised
        raise NoSuchPath(f"A file changed while it was sent: {error}.") from error


def _chunks_of_file(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK_BYTES):
                yield chunk
    except OSError as error:
        raise _unreadable(error, path) from error


def _unreadable(error: OSError, path: Path | None = None) -> NoSuchPath:
    """An error of `read` does not say which file it was."""
    return NoSuchPath(f"{error.filename or path or 'A file'} cannot be read: {error.strerror or error}.")
