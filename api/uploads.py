"""Take uploads: a body is streamed to the blob store in pieces, so that memory stays flat whatever its size."""

import logging
import zipfile
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import PurePosixPath
from typing import BinaryIO

from fastapi import Request
from fastapi.concurrency import contextmanager_in_threadpool, run_in_threadpool
from sqlalchemy.exc import DBAPIError
from starlette.datastructures import UploadFile

from api.bodies import FORM_TYPE, BodyLimit, announced_bytes, counted, media_type, read_form
from api.deps import Services
from api.refusals import NoFiles, NotAZip, NothingUploaded, UnsupportedUpload
from api.room import require_room
from store.archives import display_name
from store.blobs import Blobs, new_key
from store.jobs import NewUpload

_log = logging.getLogger(__name__)

_PIECE_BYTES = 1024 * 1024
_FORM_FILE_MEMORY_BYTES = 64 * 1024  # hundreds of form files may be open at once
_MAX_NAME = 500
_ZIP_TYPES = {"application/zip", "application/x-zip-compressed", "application/x-zip"}
_ZIP_SIGNATURES = (b"PK\x03\x04", b"PK\x05\x06")  # an archive, an empty archive


async def receive_uploads(request: Request, services: Services, *, name: str | None) -> list[NewUpload]:
    """Store what the request carries. Raises a `RequestRefused`; then nothing of it is left."""
    limit = BodyLimit("max_upload_bytes", services.settings.max_upload_bytes)
    kind = media_type(request)
    if kind in _ZIP_TYPES:
        await run_in_threadpool(check_disk, request, services)
        body = counted(request, limit)
        return [await _receive_archive(body, services, name=clean_name(name or "upload.zip"))]
    if kind == FORM_TYPE:
        await run_in_threadpool(check_disk, request, services)
        return await _receive_form(request, services, limit)
    raise UnsupportedUpload(f"{UnsupportedUpload.__doc__} The request's Content-Type is {repr(kind) if kind else 'missing'}.")


def check_disk(request: Request, services: Services) -> None:
    """Raises `DiskFull` before the first byte is read. In a thread, as whatever asks for room."""
    size = announced_bytes(request)
    spools = media_type(request) == FORM_TYPE
    require_room(
        services.blobs, min_free_bytes=services.settings.min_free_bytes, to_store=size, to_spool=size if spools else None
    )


def check_spool(services: Services, received: int) -> None:
    """Raises `DiskFull` where there is no room to store what has been spooled so far. No size need be announced, and others
    fill the disk too.
    """
    require_room(services.blobs, min_free_bytes=services.settings.min_free_bytes, to_store=received, to_spool=_PIECE_BYTES)


def clean_name(name: str) -> str:
    """A client's file name as it is stored and shown: never a path, never control characters."""
    return display_name(PurePosixPath(name.replace("\\", "/")).name)[:_MAX_NAME] or "unnamed"


def discard(blobs: Blobs, keys: Iterable[str], cause: BaseException) -> None:
    """Remove blobs that `cause` left without a row; best effort, so that `cause` is what the client hears of.

    Where the connection was lost in COMMIT, the rows may be there: a blob too many is better than a row without its blob.
    """
    if isinstance(cause, DBAPIError) and cause.connection_invalidated:
        return
    for key in keys:
        try:
            blobs.delete(key)
        except Exception:  # each object store's client has errors of its own
            _log.exception("The blob %s has no row and could not be removed", key)


@contextmanager
def kept_only_if_good(blobs: Blobs, keys: Collection[str]) -> Iterator[None]:
    """What the block leaves without a row is removed: the keys as they are when it fails."""
    try:
        yield
    except BaseException as error:
        discard(blobs, keys, error)
        raise


async def _receive_archive(body: AsyncIterator[bytes], services: Services, *, name: str) -> NewUpload:
    key = new_key()
    async with contextmanager_in_threadpool(services.blobs.writer(key)) as file:
        size = 0
        async for piece in _pieces(body):
            size += await run_in_threadpool(_write, piece, file, services)
    upload = NewUpload(name=name, is_archive=True, blob_key=key, size_bytes=size)
    await run_in_threadpool(_keep_if_zip, services.blobs, upload)
    return upload


def _keep_if_zip(blobs: Blobs, upload: NewUpload) -> None:
    """Look for the directory at the end, not only at the first bytes: a truncated archive is refused at the door."""
    with kept_only_if_good(blobs, [upload.blob_key]):
        if upload.size_bytes == 0:
            raise NothingUploaded
        with blobs.open(upload.blob_key) as file:
            if not zipfile.is_zipfile(file):
                raise NotAZip(f"{upload.name} is not a zip archive, or its end is missing.")


def _write(piece: bytes, file: BinaryIO, services: Services) -> int:
    """Raises `DiskFull`, now too, since no size need be announced, and others fill the disk."""
    require_room(services.blobs, min_free_bytes=services.settings.min_free_bytes, to_store=len(piece))
    return file.write(piece)


async def _pieces(stream: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The stream in pieces of a MiB: a hop to a thread costs as much as writing 64 kB."""
    piece = bytearray()
    async for data in stream:
        piece += data
        if len(piece) >= _PIECE_BYTES:
            yield bytes(piece)
            piece.clear()
    if piece:
        yield bytes(piece)


async def _receive_form(request: Request, services: Services, limit: BodyLimit) -> list[NewUpload]:
    form = await read_form(
        request,
        limit,
        max_files=services.settings.max_form_files,
        memory_bytes=_FORM_FILE_MEMORY_BYTES,
        check_room=partial(check_spool, services),
    )
    try:
        files = [value for _, value in form.multi_items() if not isinstance(value, str)]
        if not files:
            raise NoFiles
        return await run_in_threadpool(_store_files, services, files)
    finally:
        await form.close()


def _store_files(services: Services, files: list[UploadFile]) -> list[NewUpload]:
    keys: list[str] = []
    stored: list[NewUpload] = []
    with kept_only_if_good(services.blobs, keys):
        for file in files:
            stored.append(_store_file(services, file))
            keys.append(stored[-1].blob_key)
    return stored


def _store_file(services: Services, file: UploadFile) -> NewUpload:
    is_archive = _is_archive(file)
    key = new_key()
    with services.blobs.writer(key) as target:
        size = _copy(file.file.read, target, services)
    upload = NewUpload(name=clean_name(file.filename or "unnamed"), is_archive=is_archive, blob_key=key, size_bytes=size)
    if is_archive:
        _keep_if_zip(services.blobs, upload)
    return upload


def _is_archive(file: UploadFile) -> bool:
    """By its first bytes; by its name too, so that a damaged zip is called that and not a bad image."""
    head = file.file.read(4)
    file.file.seek(0)
    return head in _ZIP_SIGNATURES or (file.filename or "").lower().endswith(".zip")


def _copy(read: Callable[[int], bytes], target: BinaryIO, services: Services) -> int:
    size = 0
    while piece := read(_PIECE_BYTES):
        size += _write(piece, target, services)
    return size
