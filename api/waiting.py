"""`Prefer: wait=n` (RFC 7240): a client that would rather have a later answer than ask again."""

import asyncio
import re
from typing import Annotated

from fastapi import Depends, Header, Request, Response
from sqlalchemy.exc import SQLAlchemyError

from api.deps import Services
from api.identity import Caller
from api.schemas import JobView

_WAIT = re.compile(r'wait\s*=\s*"?([0-9]{1,6})"?', re.IGNORECASE)


async def _wait_seconds(
    prefer: Annotated[
        str | None,
        Header(
            description="`wait=n`: answer when the job has ended, after n seconds at the latest (RFC 7240).",
            examples=["wait=10"],
        ),
    ] = None,
) -> int | None:
    """What a client prefers; nothing where it cannot be understood, as the RFC has it."""
    for preference in (prefer or "").split(","):
        if found := _WAIT.fullmatch(preference.split(";")[0].strip()):
            return int(found[1])
    return None


WaitDep = Annotated[int | None, Depends(_wait_seconds)]


async def wait_for_end(
    request: Request, response: Response, services: Services, caller: Caller, view: JobView, wait: int | None
) -> JobView:
    """The job when it has ended, or after `wait` seconds, or when the service stops; says in a header how long that was.

    Raises `TooManyWaiting` or `WaitingFull`.
    """
    if wait is None:
        return view
    seconds = min(wait, services.settings.max_wait_seconds)
    with services.seats.taken(caller.client):
        response.headers["Preference-Applied"] = f"wait={seconds}"
        return await _wait(request, services, view, seconds)


async def _wait(request: Request, services: Services, view: JobView, seconds: int) -> JobView:
    try:
        async with asyncio.timeout(seconds):
            while not view.is_finished and not request.app.state.is_stopping:
                job = await services.watch.look(view.id)
                if job is None:
                    break
                view = JobView.of(job)
    except (TimeoutError, SQLAlchemyError):
        pass  # it is accepted, and as far as we know: that is an answer too
    return view
