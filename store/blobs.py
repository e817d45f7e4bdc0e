"""Uploads as files, on a local disk or any object store that fsspec knows. Keys are ours; a client's name never is one.

A blob appears whole or not at all: on a local disk it is written beside its place, synced and renamed; object stores publish
an object when its upload is closed.

    BlobError
      BlobMissing  BlobsUnavailable  BlobsFull  BlobsUnusable

The docstring of a class is its message.
"""

import errno
import io
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

import fsspec
from fsspec.implementations.local import LocalFileSystem
from fsspec.spec import AbstractBufferedFile

from store.raw_files import WrappingFile

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_READ_AHEAD_BYTES = 128 * 1024
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class BlobError(Exception):
    """The blob store failed."""

    def __init__(self, detail: str | None = None) -> None:
        super().__init__(detail or type(self).__doc__)


class BlobMissing(BlobError):
    """The file is no longer in the blob store."""


class BlobsUnavailable(BlobError):
    """The blob store does not answer."""


class BlobsFull(BlobError):
    """There is no room left for uploads."""


class BlobsUnusable(BlobError):
    """The blob store's URL cannot be used."""


def new_key() -> str:
    """A fresh key, spread over folders by day."""
    return f"{datetime.now(UTC):%Y/%m/%d}/{uuid.uuid4().hex}"


def require_driver(url: str) -> None:
    """Raises `BlobsUnusable` when fsspec has no driver for `url`; nothing is connected to, so it may be asked before a fork."""
    protocol, _ = fsspec.core.split_protocol(url.rpartition("::")[2])
    try:
        fsspec.get_filesystem_class(protocol or "file")
    except (ImportError, ValueError) as error:
        raise BlobsUnusable(f"The blob store {protocol}:// cannot be used: {error}.") from error


class Blobs:
    """The store under one URL, such as file:///var/lib/penpress/blobs or s3://bucket/prefix."""

    def __init__(self, url: str) -> None:
        self._fs, self._root = fsspec.core.url_to_fs(url)
        self._is_local = isinstance(self._fs, LocalFileSystem)

    @contextmanager
    def writer(self, key: str) -> Iterator[BinaryIO]:
        """A file to write `key` into; after the block it is durable, and if the block raises there is none.

        Raises `BlobsFull`.
        """
        if self._is_local:
            with _noticing_full_disk(), _durable_file(Path(self._path(key))) as file:
                yield file
            return
        file = cast(BinaryIO, self._fs.open(self._path(key), "wb"))
        try:
            yield file
        except BaseException:
            self._throw_away(file, key)
            raise
        file.close()

    def write(self, key: str, data: bytes) -> None:
        """Write `data` as `key`, durably."""
        with self.writer(key) as file:
            file.write(data)

    def open(self, key: str) -> BinaryIO:
        """A seekable file. Raises `BlobMissing`; it and reading from the file raise `BlobsUnavailable`."""
        try:
            file = self._fs.open(self._path(key), "rb")
        except FileNotFoundError as error:
            raise BlobMissing from error
        except Exception as error:  # each object store's client has errors of its own
            raise BlobsUnavailable(f"{BlobsUnavailable.__doc__} {error}") from error
        return io.BufferedReader(_Source(file), _READ_AHEAD_BYTES)

    def read(self, key: str) -> bytes:
        """The whole of a blob. Raises `BlobMissing` or `BlobsUnavailable`."""
        with self.open(key) as file:
            return file.read()

    def delete(self, key: str) -> None:
        """Remove a blob; it may be gone already."""
        with suppress(FileNotFoundError):
            self._fs.rm_file(self._path(key))

    def days(self) -> list[str]:
        """The folders that keys are spread over, oldest first."""
        return sorted(self._key(path) for path in self._fs.glob(self._path("*/*/*")))

    def list_day(self, day: str) -> Iterator[tuple[str, datetime]]:
        """A folder's files, whole or half written, with the times when they were last written to; none of one that is gone."""
        try:
            entries = self._fs.ls(self._path(day), detail=True)
        except FileNotFoundError:
            return
        for entry in entries:
            with suppress(FileNotFoundError):  # it may be renamed or removed meanwhile
                if entry["type"] == "file":
                    yield self._key(entry["name"]), self._fs.modified(entry["name"]).astimezone(UTC)

    def folder(self) -> Path | None:
        """A folder on the disk that blobs are written to; None where nobody can say, as of an object store."""
        if not self._is_local:
            return None
        folder = Path(self._root)
        while not folder.exists():
            folder = folder.parent
        return folder

    def _throw_away(self, file: BinaryIO, key: str) -> None:
        if isinstance(file, AbstractBufferedFile):
            file.discard()
            file.closed = True  # else the garbage collector closes it, which publishes what was written so far
        else:
            file.close()
        self.delete(key)

    def _key(self, path: str) -> str:
        return path.removeprefix(self._root.rstrip("/")).lstrip("/")

    def _path(self, key: str) -> str:
        return f"{self._root.rstrip('/')}/{key}"


class _Source(WrappingFile):
    """A blob as a raw file, which tells a store that fails from data that is damaged."""

    def readinto(self, buffer: "WriteableBuffer") -> int:
        view = memoryview(buffer)
        try:
            data = self._file.read(len(view))
        except Exception as error:  # each object store's client has errors of its own
            raise BlobsUnavailable(f"{BlobsUnavailable.__doc__} {error}") from error
        view[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self._file.close()
        super().close()


def is_disk_full(error: OSError) -> bool:
    """Whether a write failed for want of room, or of quota."""
    return error.errno in _FULL


@contextmanager
def _noticing_full_disk() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if is_disk_full(error):
            raise BlobsFull from error
        raise


@contextmanager
def _durable_file(path: Path) -> Iterator[BinaryIO]:
    _make_folder(path.parent)
    partial = path.with_suffix(".part")
    try:
        with partial.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        partial.rename(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def _make_folder(folder: Path) -> None:
    """As `mkdir -p`, and each new name is durable: a blob synced into a folder that a power cut takes away is lost with it."""
    if folder.is_dir():
        return
    _make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    _sync_folder(folder.parent)


def _sync_folder(folder: Path) -> None:
    """Make a new name in `folder` survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
