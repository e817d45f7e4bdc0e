"""Webhook events: written in the transaction in which something happens to a job, told later by `worker.deliver`.

An event's id is the `webhook-id` of every attempt to deliver it, so a receiver that sees one twice knows it.
"""

import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import delete, exists, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from store import endpoints
from store.base import new_id
from store.models import Job, WebhookAttempt, WebhookEndpoint, WebhookEvent
from store.states import EventState, EventType, JobState

PROGRESS_SECONDS = 10
DEFAULT_EVENTS = (EventType.COMPLETED, EventType.FAILED, EventType.CANCELLED)

_ENDINGS = {
    JobState.COMPLETED: EventType.COMPLETED,
    JobState.FAILED: EventType.FAILED,
    JobState.CANCELLED: EventType.CANCELLED,
}
_COUNTS = ("total", "processed", "succeeded", "failed", "skipped", "handwritten", "printed", "needs_review")


def subscribe(session: Session, job: Job, *, url: str, events: Sequence[EventType]) -> None:
    """Tell `url` of these events of the job; to be called in the transaction that makes it. Raises `EndpointDisabled`."""
    job.webhook_endpoint_id = endpoints.find_or_create(session, owner_id=job.owner_id, url=url).id
    job.webhook_events = [event.value for event in events]
    session.flush()


def record_started(session: Session, job: Job) -> None:
    """The job has been planned, and its items are being classified."""
    _record(session, job, EventType.STARTED)


def record_progress(session: Session, job: Job) -> None:
    """Some of the job's items have their results. The caller holds the job's lock.

    Nothing is written within ten seconds of the last such event, nor while that one waits to be delivered: a receiver that is
    down for a weekend finds one, not twenty thousand.
    """
    if not _wants(job, EventType.PROGRESS):
        return
    told = (WebhookEvent.job_id == job.id) & (WebhookEvent.type == EventType.PROGRESS)
    is_recent = WebhookEvent.created_at > func.now() - timedelta(seconds=PROGRESS_SECONDS)
    if session.scalar(select(exists().where(told, is_recent | (WebhookEvent.state == EventState.PENDING)))):
        return
    count = session.scalar(select(func.count()).where(told)) or 0
    _record(session, job, EventType.PROGRESS, sequence=count)


def record_end(session: Session, job: Job) -> None:
    """The job has ended in its present state; what was to be told of its progress is told no more."""
    if job.webhook_endpoint_id is None or job.state not in _ENDINGS:
        return
    session.execute(
        update(WebhookEvent)
        .where(WebhookEvent.job_id == job.id, WebhookEvent.type == EventType.PROGRESS, WebhookEvent.state == EventState.PENDING)
        .values(state=EventState.GIVEN_UP, finished_at=func.now(), lease_token=None, lease_until=None)
    )
    _record(session, job, _ENDINGS[job.state])


def forget(session: Session, job: Job) -> None:
    """Delete what was, or was to be, told of the job: its results are gone. The caller holds the job's lock."""
    if job.webhook_endpoint_id is None:
        return
    endpoint = session.get_one(WebhookEndpoint, job.webhook_endpoint_id)
    endpoints.lock_host(session, endpoint.host_id, to_remove=True)
    session.execute(delete(WebhookEvent).where(WebhookEvent.job_id == job.id))
    job.webhook_endpoint_id = job.webhook_events = None
    session.flush()
    endpoints.remove_unused(session, endpoint.id, endpoint.host_id)


def _wants(job: Job, event: EventType) -> bool:
    return job.webhook_endpoint_id is not None and event in (job.webhook_events or ())


def _record(session: Session, job: Job, event: EventType, *, sequence: int = 0) -> None:
    """Write the event, unless the job's client does not want it or it was written before."""
    if not _wants(job, event):
        return
    session.flush()  # the job's times are the database's
    known = select(WebhookEndpoint.host_id, WebhookEndpoint.disabled_at, func.now())
    host_id, disabled, now = session.execute(known.where(WebhookEndpoint.id == job.webhook_endpoint_id)).one()
    row = insert(WebhookEvent).values(
        id=new_id(),
        job_id=job.id,
        endpoint_id=job.webhook_endpoint_id,
        host_id=host_id,
        type=event,
        sequence=sequence,
        payload={"type": event.value, "timestamp": _iso(now), "data": _summary(job)},
        state=EventState.GIVEN_UP if disabled else EventState.PENDING,
        finished_at=now if disabled else None,
        attempt=0,
    )
    session.execute(row.on_conflict_do_nothing(index_elements=["job_id", "type", "sequence"]))


def _summary(job: Job) -> dict[str, Any]:
    """The job as a receiver learns it: a few hundred bytes, however many items it has."""
    here = f"/jobs/{job.id}"
    return {
        "id": str(job.id),
        "name": job.name,
        "state": job.state.value,
        "reason": job.reason,
        "model_version": job.model_version,
        "counts": {name: getattr(job, name) for name in _COUNTS},
        "created_at": _iso(job.created_at),
        "started_at": _iso(job.started_at),
        "finished_at": _iso(job.finished_at),
        "links": {"self": here, "results": f"{here}/results"},
    }


def _iso(moment: datetime | None) -> str | None:
    return moment.astimezone(UTC).isoformat() if moment else None


def list_newest_events(
    session: Session, job_id: uuid.UUID, *, limit: int, before: uuid.UUID | None = None
) -> Sequence[WebhookEvent]:
    """The job's events, the newest first; ids sort by creation, so `before` continues where a page ended."""
    query = select(WebhookEvent).where(WebhookEvent.job_id == job_id).order_by(WebhookEvent.id.desc()).limit(limit)
    return session.scalars(query.where(WebhookEvent.id < before) if before else query).all()


def list_attempts(session: Session, event_ids: Sequence[uuid.UUID]) -> Sequence[WebhookAttempt]:
    """Every attempt to deliver these events, the oldest first."""
    query = select(WebhookAttempt).where(WebhookAttempt.event_id.in_(event_ids)).order_by(WebhookAttempt.id)
    return session.scalars(query).all()


def get_event(session: Session, event_id: uuid.UUID, *, owner_id: uuid.UUID | None) -> WebhookEvent | None:
    """The event of that id, unless it is somebody else's."""
    event = session.get(WebhookEvent, event_id, populate_existing=True, with_for_update=True)
    if event is None or endpoints.get_endpoint(session, event.endpoint_id, owner_id=owner_id) is None:
        return None
    return event


def redeliver(session: Session, event: WebhookEvent) -> None:
    """delivered | given_up → pending, with the whole schedule before it; one that is pending becomes due at once.

    Raises `EndpointDisabled`.
    """
    endpoints.refuse_disabled(session.get_one(WebhookEndpoint, event.endpoint_id))
    event.state, event.finished_at = EventState.PENDING, None
    event.attempt, event.next_at = 0, func.now()
    session.flush()
