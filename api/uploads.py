"""Take uploads: a body is streamed to the blob store in pieces, so that memory stays flat whatever its size."""

import zipfile
from collections.abc import AsyncIterator, Callable
from pathlib import PurePosixPath
from typing import BinaryIO

from fastapi import Request
from fastapi.concurrency import contextmanager_in_threadpool, run_in_threadpool
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from api.deps import Services
from api.errors import Limit, NoFiles, NotAZip, NothingUploaded, TooManyFiles, UnsupportedUpload, UploadTooLarge
from store.archives import display_name
from store.blobs import Blobs, new_key
from store.jobs import NewUpload

_PIECE_BYTES = 1024 * 1024
_MAX_NAME = 500
_ZIP_TYPES = {"application/zip", "application/x-zip-compressed", "application/x-zip"}
_ZIP_SIGNATURES = (b"PK\x03\x04", b"PK\x05\x06")  # an archive, an empty archive


class _SparingParser(MultiPartParser):
    """Form files go to disk from 64 kB on: hundreds of them may be open at once."""

    spool_max_size = 64 * 1024


async def receive_uploads(request: Request, services: Services, *, name: str | None) -> list[NewUpload]:
    """Store what the request carries. Raises a `RequestRefused`; then nothing of it is left."""
    media_type = request.headers.get("content-type", "").split(";")[0].strip().lower()
    _refuse_announced_size(request, services.settings.max_upload_bytes)
    if media_type in _ZIP_TYPES:
        return [await _receive_archive(request, services, name=clean_name(name or "upload.zip"))]
    if media_type == "multipart/form-data":
        return await _receive_form(request, services)
    raise UnsupportedUpload(f"{UnsupportedUpload.__doc__} The request's Content-Type is {media_type or 'missing'!r}.")


def clean_name(name: str) -> str:
    """A client's file name as it is stored and shown: never a path, never control characters."""
    return display_name(PurePosixPath(name.replace("\\", "/")).name)[:_MAX_NAME] or "unnamed"


def discard(services: Services, uploads: list[NewUpload]) -> None:
    """Remove blobs whose rows could not be written."""
    for upload in uploads:
        services.blobs.delete(upload.blob_key)


def _refuse_announced_size(request: Request, max_bytes: int) -> None:
    announced = request.headers.get("content-length", "")
    if announced.isdigit() and int(announced) > max_bytes:
        raise _too_large(max_bytes, int(announced))


def _too_large(max_bytes: int, observed: int) -> UploadTooLarge:
    limit = Limit(key="max_upload_bytes", value=max_bytes, observed=observed, unit="bytes")
    return UploadTooLarge(f"The upload has {observed} bytes or more; at most {max_bytes} are allowed.", limit)


async def _receive_archive(request: Request, services: Services, *, name: str) -> NewUpload:
    key = new_key()
    async with contextmanager_in_threadpool(services.blobs.writer(key)) as file:
        size = await _copy_body(request, file, services.settings.max_upload_bytes)
    upload = NewUpload(name=name, is_archive=True, blob_key=key, size_bytes=size)
    await run_in_threadpool(_keep_if_zip, services.blobs, upload)
    return upload


def _keep_if_zip(blobs: Blobs, upload: NewUpload) -> None:
    """Look for the directory at the end, not only at the first bytes: a truncated archive is refused at the door."""
    with blobs.open(upload.blob_key) as file:
        is_zip = zipfile.is_zipfile(file)
    if not is_zip:
        blobs.delete(upload.blob_key)
        raise (
            NothingUploaded
            if upload.size_bytes == 0
            else NotAZip(f"{upload.name} is not a zip archive, or its end is missing.")
        )


async def _copy_body(request: Request, file: BinaryIO, max_bytes: int) -> int:
    size = 0
    async for piece in _pieces(request.stream()):
        size += len(piece)
        if size > max_bytes:
            raise _too_large(max_bytes, size)
        await run_in_threadpool(file.write, piece)
    return size


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


async def _receive_form(request: Request, services: Services) -> list[NewUpload]:
    form = await _parse_form(request, services.settings.max_form_files)
    try:
        files = [value for _, value in form.multi_items() if not isinstance(value, str)]
        if not files:
            raise NoFiles
        return await run_in_threadpool(_store_files, services, files)
    finally:
        await form.close()


async def _parse_form(request: Request, max_files: int) -> FormData:
    parser = _SparingParser(request.headers, request.stream(), max_files=max_files, max_fields=max_files)
    try:
        return await parser.parse()
    except MultiPartException as error:
        if "Too many files" in error.message:
            limit = Limit(key="max_form_files", value=max_files, unit="files")
            raise TooManyFiles(f"The form holds more than {max_files} files; send them as one zip.", limit) from error
        raise NoFiles(f"The form cannot be read: {error.message}") from error


def _store_files(services: Services, files: list[UploadFile]) -> list[NewUpload]:
    stored: list[NewUpload] = []
    try:
        for file in files:
            stored.append(_store_file(services.blobs, file))
    except BaseException:
        discard(services, stored)
        raise
    return stored


def _store_file(blobs: Blobs, file: UploadFile) -> NewUpload:
    is_archive = _is_archive(file)
    key = new_key()
    with blobs.writer(key) as target:
        size = _copy(file.file.read, target)
    upload = NewUpload(name=clean_name(file.filename or "unnamed"), is_archive=is_archive, blob_key=key, size_bytes=size)
    if is_archive:
        _keep_if_zip(blobs, upload)
    return upload


def _is_archive(file: UploadFile) -> bool:
    """By its first bytes; by its name too, so that a damaged zip is called that and not a bad image."""
    head = file.file.read(4)
    file.file.seek(0)
    return head in _ZIP_SIGNATURES or (file.filename or "").lower().endswith(".zip")


def _copy(read: Callable[[int], bytes], target: BinaryIO) -> int:
    size = 0
    while piece := read(_PIECE_BYTES):
        size += target.write(piece)
    return size
