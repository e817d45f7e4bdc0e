"""`Idempotency-Key`: a submission that a client repeats, not knowing whether the first one arrived, makes no second job.

The key is the client's own. While the first request runs the same key is refused with 409; with another body or other options
it is refused with 422; else the first answer is given again. A request that was refused or failed frees its key.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import Depends, Header, Request
from fastapi.concurrency import run_in_threadpool
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session
from starlette.responses import Response

from api.bodies import BodyLimit, counted
from api.deps import Services
from api.fingerprint import Fingerprint
from api.refusals import BadIdempotencyKey, IdempotencyKeyInUse, IdempotencyKeyReused
from api.schemas import JobView
from store import idempotency
from store.idempotency import FirstAnswer, Hold
from store.models import Job

_MAX_CHARACTERS = 255
_ALLOWED = f"1 to {_MAX_CHARACTERS} printable ASCII characters, such as a UUID"
_RENEWALS = 3
_AGAIN_SECONDS = 1.0
_releasing: dict[Hold, asyncio.Task[None]] = {}
_log = logging.getLogger(__name__)


async def _key(
    idempotency_key: Annotated[
        str | None,
        Header(
            description=f"Your own name for this request: {_ALLOWED}. The same request again gets the first answer.",
            json_schema_extra={"pattern": f"^[ -~]{{1,{_MAX_CHARACTERS}}}$"},
        ),
    ] = None,
) -> str | None:
    key = idempotency_key
    if key is None or (1 <= len(key) <= _MAX_CHARACTERS and key.isascii() and key.isprintable()):
        return key
    raise BadIdempotencyKey


IdempotencyKeyDep = Annotated[str | None, Depends(_key)]


class Attempt:
    """One request under a key, or without one. Read the body through `request`."""

    def __init__(self, request: Request, fingerprint: Fingerprint, hold: Hold | None, first: JobView | None) -> None:
        self.request = request
        self.first = first
        """The job that the first request made, as it was answered then; None when this request is the first."""
        self._fingerprint, self._hold = fingerprint, hold

    def record(self, session: Session, job: Job, *, status: int) -> None:
        """Keep the answer with the job, in its transaction. Raises `KeyLost`."""
        if self._hold:
            body = JobView.of(job).model_dump(mode="json")
            digest = self._fingerprint.hexdigest()
            idempotency.record_answer(session, self._hold, fingerprint=digest, job_id=job.id, status=status, body=body)

    def mark(self, response: Response) -> None:
        """Tell the client where the answer is the first one again."""
        if self.first:
            response.headers["Idempotency-Replayed"] = "true"


@asynccontextmanager
async def attempted(
    request: Request, services: Services, *, client: str, key: str | None, options: Mapping[str, Any], has_body: bool = True
) -> AsyncIterator[Attempt]:
    """The block does what is asked for, unless `first` says that it was done. Raises a `RequestRefused`."""
    kind = f"{request.method} {request.url.path}"
    fingerprint = Fingerprint(kind, options, request.headers.get("content-type", ""))
    if key is None:
        yield Attempt(request, fingerprint, None, None)
        return
    hold = Hold(client, key)
    try:
        found = await run_in_threadpool(_begin, services, hold)
    except SQLAlchemyError:  # the key may be ours all the same
        _release_later(services, hold)
        raise
    watched = fingerprint.watching(request)
    if isinstance(found, FirstAnswer):
        if has_body:
            await _read_away(watched, services)
        yield Attempt(watched, fingerprint, None, _repeated(fingerprint, found))
        return
    renewing = asyncio.create_task(_keep_renewing(services, found))
    try:
        yield Attempt(watched, fingerprint, found, None)
    except Exception:
        if not await run_in_threadpool(_release, services, found):
            _release_later(services, found)
        raise
    finally:
        renewing.cancel()


def _begin(services: Services, hold: Hold) -> Hold | FirstAnswer:
    settings = services.settings
    left = [other for other in list(_releasing) if (other.client, other.key) == (hold.client, hold.key)]
    with services.database.transaction() as session:
        for other in left:
            idempotency.release(session, other)
        found = idempotency.begin(
            session, hold, lease_seconds=settings.lease_seconds, keep_seconds=settings.idempotency_seconds
        )
    if found is None:
        raise IdempotencyKeyInUse
    return found


async def _read_away(request: Request, services: Services) -> None:
    """Read the body only to compare it."""
    async for _ in counted(request, BodyLimit("max_upload_bytes", services.settings.max_upload_bytes)):
        pass


def _repeated(fingerprint: Fingerprint, first: FirstAnswer) -> JobView:
    if fingerprint.hexdigest() != first.fingerprint:
        raise IdempotencyKeyReused
    return JobView.model_validate(first.body)


async def _keep_renewing(services: Services, hold: Hold) -> None:
    seconds = services.settings.lease_seconds
    while True:
        await asyncio.sleep(seconds / _RENEWALS)
        try:
            await run_in_threadpool(_renew, services, hold, seconds)
        except SQLAlchemyError as error:
            _log.warning("idempotency key not renewed, will try again: %s", error)


def _renew(services: Services, hold: Hold, seconds: float) -> None:
    with services.database.single_statement() as session:
        idempotency.renew(session, hold, lease_seconds=seconds)


def _release(services: Services, hold: Hold) -> bool:
    """Give the key back; False where Postgres does not answer."""
    try:
        with services.database.single_statement() as session:
            idempotency.release(session, hold)
    except SQLAlchemyError as error:
        _log.warning("idempotency key not given back yet: %s", error)
        return False
    return True


def _release_later(services: Services, hold: Hold) -> None:
    """Whoever was refused because Postgres was away comes again under the same key, and must not be told that it is in use."""
    task = asyncio.create_task(_keep_releasing(services, hold))
    _releasing[hold] = task
    task.add_done_callback(lambda _: _releasing.pop(hold, None))


async def _keep_releasing(services: Services, hold: Hold) -> None:
    """Until it is given back, or its lease has run out."""
    deadline = time.monotonic() + services.settings.lease_seconds
    while time.monotonic() < deadline:
        await asyncio.sleep(_AGAIN_SECONDS)
        if await run_in_threadpool(_release, services, hold):
            return
