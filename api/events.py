"""A job's progress as server-sent events. Each event is the whole job, so that one who comes back has missed nothing.

An event's id says what the job looked like. A browser that lost the stream sends the last one as `Last-Event-ID`, and hears
only of what came after it; once the job has ended it is told by 204 to come no more.
"""

import time
from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, FastAPI, Header, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.sse import EventSourceResponse, ServerSentEvent
from sqlalchemy.exc import SQLAlchemyError

from api.deps import ServicesDep
from api.documented import problems
from api.examples import JOB_EVENTS
from api.identity import CallerDep, still_may
from api.jobs import view_job
from api.refusals import InvalidRequest, JobExpired, NotFound
from api.schemas import JobView
from api.seats import WAIT_REFUSALS

router = APIRouter(tags=["jobs"])

_ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {"content": {"text/event-stream": {"example": JOB_EVENTS}}},
    204: {"description": "The job has ended, and Last-Event-ID is its last event.", "content": {}},
}
_RECONNECT_MILLISECONDS = 2000
_KEY_CHECK_SECONDS = 30.0


class AllTold(Exception):
    """The client knows of the job's end."""


async def _job(
    job_id: UUID,
    services: ServicesDep,
    caller: CallerDep,
    last_event_id: Annotated[str, Header(description="The id of the last event that you have.")] = "",
) -> AsyncIterator[JobView]:
    """Looked for before the stream begins, since afterwards nothing can be refused any more; the seat is held to its end."""
    view = await run_in_threadpool(view_job, services, job_id, caller)
    if view.is_finished and _event_id(view) == last_event_id:
        raise AllTold
    with services.seats.taken(caller.client):
        yield view


@router.get(
    "/jobs/{job_id}/events",
    summary="A job's progress, as it happens",
    response_class=EventSourceResponse,
    responses=_ANSWERS | problems(NotFound, JobExpired, InvalidRequest, *WAIT_REFUSALS),
)
async def get_events(
    request: Request,
    services: ServicesDep,
    view: Annotated[JobView, Depends(_job)],
    last_event_id: Annotated[str, Header()] = "",
) -> AsyncIterator[ServerSentEvent]:
    """`state` when the job's state changes, `progress` when its counts do; the data is the job. Ends after the last state."""
    told, ends_at = last_event_id, time.monotonic() + services.settings.max_stream_seconds
    check_at = time.monotonic() + _KEY_CHECK_SECONDS
    while True:
        if (event_id := _event_id(view)) != told:
            yield _event(view, told)
            told = event_id
        if view.is_finished or request.app.state.is_stopping or time.monotonic() >= ends_at:
            return
        try:
            if time.monotonic() >= check_at:
                check_at = time.monotonic() + _KEY_CHECK_SECONDS
                if not await still_may(request, services):
                    return
            job = await services.watch.look(view.id)
        except SQLAlchemyError:
            return  # the client comes again, and is refused then if it must be
        if job is None:
            return
        view = JobView.of(job)


def _event_id(view: JobView) -> str:
    return f"{view.state.value}:{view.counts.processed}:{view.counts.total}"


def _event(view: JobView, told: str) -> ServerSentEvent:
    kind = "progress" if told.split(":")[0] == view.state.value else "state"
    return ServerSentEvent(data=view, event=kind, id=_event_id(view), retry=_RECONNECT_MILLISECONDS)


def install(app: FastAPI) -> None:
    """Answer those who know of the end already."""
    app.add_exception_handler(AllTold, _all_told)


async def _all_told(_request: Request, _error: Exception) -> Response:
    return Response(status_code=HTTPStatus.NO_CONTENT)
