"""Read items back from the blob store: single images whole, archives member by member with the last one kept open.

Reading the directory of an archive with 100,000 entries takes half a second, a chunk about one: so the archive stays open
from one chunk of a job to the next. An idle worker holds its last one open until other work comes: one file, and a directory of
at most `max_items` entries.
"""

import uuid
import zipfile
from typing import BinaryIO

from store import archives
from store.archives import EntryTooLarge
from store.blobs import BlobError, Blobs
from store.models import Upload


class Sources:
    """Reads uploads from the blob store. For one thread only."""

    def __init__(self, blobs: Blobs, *, max_items: int, max_item_bytes: int) -> None:
        self._blobs = blobs
        self._max_items = max_items
        self._max_item_bytes = max_item_bytes
        self._open: tuple[uuid.UUID, BinaryIO, zipfile.ZipFile] | None = None

    def archive(self, upload: Upload) -> zipfile.ZipFile:
        """The upload's archive, opened. Raises `ArchiveError` or a `BlobError`."""
        if self._open and self._open[0] == upload.id:
            return self._open[2]
        self.close()
        file = self._blobs.open(upload.blob_key)
        try:
            opened = archives.open_archive(file, max_items=self._max_items)
        except BaseException:
            file.close()
            raise
        self._open = (upload.id, file, opened)
        return opened

    def read(self, upload: Upload, member_index: int | None) -> bytes:
        """The bytes of one item. Raises `ArchiveError` or a `BlobError`."""
        if member_index is not None:
            return self._read_member(upload, member_index)
        if upload.size_bytes > self._max_item_bytes:
            raise EntryTooLarge(f"The file has {upload.size_bytes} bytes; at most {self._max_item_bytes} are allowed.")
        return self._blobs.read(upload.blob_key)

    def _read_member(self, upload: Upload, index: int) -> bytes:
        try:
            return archives.read_member(self.archive(upload), index, max_item_bytes=self._max_item_bytes)
        except BlobError:
            self.close()  # a connection that broke stays broken; the next read opens another
            raise

    def close(self) -> None:
        """Close the archive that is open."""
        if self._open:
            _, file, opened = self._open
            self._open = None
            opened.close()
            file.close()
