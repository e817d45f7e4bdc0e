"""Request bodies, counted while they arrive: one that is too large is refused at the first excess byte, announced or not."""

from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass

from fastapi import Request
from fastapi.concurrency import run_in_threadpool
from starlette.datastructures import FormData
from starlette.formparsers import MultiPartException, MultiPartParser

from api.refusals import DiskFull, Limit, NoFiles, TooManyFiles, UploadTooLarge
from store.blobs import is_disk_full

FORM_TYPE = "multipart/form-data"
# A form wraps its files in boundaries and headers; a limit on one file leaves room for them.
FORM_OVERHEAD_BYTES = 64 * 1024
# What is no file is kept in memory, and nothing here reads it.
_MAX_FIELDS = 16
_MAX_FIELD_BYTES = 64 * 1024
_ROOM_STEP_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class BodyLimit:
    """The setting that limits a body, its value, and what may come on top."""

    key: str
    max_bytes: int
    overhead_bytes: int = 0

    def check(self, observed: int) -> None:
        """Raises `UploadTooLarge`."""
        if observed > self.max_bytes + self.overhead_bytes:
            raise too_large(self.key, self.max_bytes, observed)


def too_large(key: str, max_bytes: int, observed: int) -> UploadTooLarge:
    """The refusal of an upload that has more bytes than the setting `key` allows."""
    limit = Limit(key=key, value=max_bytes, observed=observed, unit="bytes")
    return UploadTooLarge(f"The upload has {observed} bytes or more; at most {max_bytes} are allowed.", limit=limit)


def media_type(request: Request) -> str:
    """The body's media type without its parameters, or an empty string."""
    return request.headers.get("content-type", "").split(";")[0].strip().lower()


def announced_bytes(request: Request) -> int:
    """The size that the client gives for the body; 0 where it gives none."""
    announced = request.headers.get("content-length", "")
    return int(announced) if announced.isdecimal() and announced.isascii() else 0


async def counted(request: Request, limit: BodyLimit) -> AsyncGenerator[bytes, None]:
    """The body as it arrives. Raises `UploadTooLarge`, before the first byte where the size is announced."""
    limit.check(announced_bytes(request))
    received = 0
    async for data in request.stream():
        received += len(data)
        limit.check(received)
        yield data


async def read_form(
    request: Request, limit: BodyLimit, *, max_files: int, memory_bytes: int, check_room: Callable[[int], None]
) -> FormData:
    """A multipart form, to be closed; its files go to disk from `memory_bytes` on.

    `check_room` is called in a thread for each MiB, with the bytes received so far. Raises `UploadTooLarge`, `TooManyFiles`,
    `NoFiles` or `DiskFull`; then nothing of it is left.
    """
    parser = MultiPartParser(
        request.headers,
        _with_room(counted(request, limit), check_room),
        max_files=max_files,
        max_fields=_MAX_FIELDS,
        max_part_size=_MAX_FIELD_BYTES,
    )
    parser.spool_max_size = memory_bytes
    try:
        return await parser.parse()
    except MultiPartException as error:
        if "Too many files" in error.message:
            raise too_many_files(max_files) from error
        raise NoFiles(f"The form cannot be read: {error.message}") from error
    except OSError as error:
        if is_disk_full(error):
            raise DiskFull from error
        raise


async def _with_room(body: AsyncGenerator[bytes, None], check_room: Callable[[int], None]) -> AsyncGenerator[bytes, None]:
    received = unchecked = 0
    async for data in body:
        received += len(data)
        unchecked += len(data)
        if unchecked >= _ROOM_STEP_BYTES:
            await run_in_threadpool(check_room, received)
            unchecked = 0
        yield data


def too_many_files(max_files: int) -> TooManyFiles:
    """The refusal of a form with more files than `max_files`."""
    limit = Limit(key="max_form_files", value=max_files, unit="files")
    return TooManyFiles(f"The form holds more than {max_files} files; send them as one zip.", limit=limit)
