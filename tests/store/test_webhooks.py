import json
import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from store import endpoints, jobs, planning, webhooks
from store.models import Job, WebhookEndpoint, WebhookEvent
from store.planning import Plan
from store.states import EventState, EventType
from store.webhook_errors import EndpointDisabled
from tests.store.rows import begin, chunks_of, claim, finish, list_events, make_event, make_item, make_job, make_told_job
from tests.store.rows import chunks as chunk_rows

ALL = tuple(EventType)


def run(session: Session, job: Job, *, chunks: int = 1) -> None:
    """Plan the job into chunks of one item."""
    members = [[chunk_rows.member(make_item(job, n))] for n in range(chunks)]
    plan = Plan(model_version="7", review_threshold=0.9, chunks=members, refused=[])
    planning.finish_planning(session, job.id, begin(session, job), plan)


def finish_next(session: Session, job: Job) -> None:
    chunk = next(chunk for chunk in chunks_of(session, job) if chunk.state == "ready")
    assert finish(session, claim(session, chunk.id))


def told(session: Session, job: Job) -> list[str]:
    return [event.type for event in list_events(session, job.id)]


def make_old(session: Session, job: Job, *, seconds: int = 11, state: EventState = EventState.DELIVERED) -> None:
    """Let the job's events have happened before, and be delivered."""
    past = WebhookEvent.created_at - timedelta(seconds=seconds)
    session.execute(update(WebhookEvent).where(WebhookEvent.job_id == job.id).values(created_at=past, state=state))


def test_a_finished_job_has_one_event_with_its_summary(session: Session) -> None:
    job = make_told_job(session)
    run(session, job)
    finish_next(session, job)
    jobs.close_if_done(session, job.id)
    (event,) = list_events(session, job.id)
    assert (event.type, event.state, event.sequence) == ("job.completed", EventState.PENDING, 0)
    data = event.payload["data"]
    assert (data["id"], data["state"], data["counts"]["succeeded"]) == (str(job.id), "completed", 1)
    assert datetime.fromisoformat(data["finished_at"]).utcoffset() == timedelta(0)
    assert data["links"]["results"] == f"/jobs/{job.id}/results"


def test_a_job_without_webhook_has_no_events(session: Session) -> None:
    job = make_job(session)
    run(session, job)
    finish_next(session, job)
    assert told(session, job) == []


def test_a_failed_job_says_so(session: Session) -> None:
    event = make_event(session)
    assert (event.type, event.payload["data"]["reason"]) == ("job.failed", "no_result")


def test_a_cancelled_job_says_so_when_it_has_stopped(session: Session) -> None:
    job = make_told_job(session)
    run(session, job, chunks=2)
    held = claim(session, chunks_of(session, job)[0].id)
    jobs.request_cancel(session, job.id, reason="cancelled", detail="Somebody asked for it.")
    assert told(session, job) == []
    finish(session, held)
    assert told(session, job) == ["job.cancelled"]


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (ALL, ["job.started", "job.progress", "job.completed"]),
        (webhooks.DEFAULT_EVENTS, ["job.completed"]),
        ((EventType.STARTED,), ["job.started"]),
        ((EventType.FAILED,), []),
    ],
)
def test_only_the_events_that_were_asked_for_are_told(
    session: Session, wanted: Sequence[EventType], expected: list[str]
) -> None:
    job = make_told_job(session, events=wanted)
    run(session, job, chunks=2)
    finish_next(session, job)
    finish_next(session, job)
    assert told(session, job) == expected


def test_progress_is_told_every_ten_seconds_at_most(session: Session) -> None:
    job = make_told_job(session, events=[EventType.PROGRESS])
    run(session, job, chunks=5)
    finish_next(session, job)
    make_old(session, job, seconds=9)
    finish_next(session, job)
    assert told(session, job) == ["job.progress"]
    make_old(session, job, seconds=2)
    finish_next(session, job)
    assert [event.sequence for event in list_events(session, job.id)] == [0, 1]


def test_progress_that_waits_is_not_told_again_and_forgotten_at_the_end(session: Session) -> None:
    job = make_told_job(session, events=[EventType.PROGRESS])
    run(session, job, chunks=3)
    finish_next(session, job)
    make_old(session, job, seconds=1000, state=EventState.PENDING)
    finish_next(session, job)
    assert told(session, job) == ["job.progress"]
    finish_next(session, job)
    session.expire_all()
    assert [event.state for event in list_events(session, job.id)] == [EventState.GIVEN_UP]


def test_a_rolled_back_move_tells_nothing(session: Session) -> None:
    job = make_told_job(session)
    run(session, job)
    undone = session.begin_nested()
    finish_next(session, job)
    assert told(session, job) == ["job.completed"]
    undone.rollback()
    assert told(session, job) == []


def test_the_longest_payload_is_below_twenty_kilobytes(session: Session) -> None:
    job = make_job(session, name="\N{GRINNING FACE}" * 500)
    webhooks.subscribe(session, job, url="https://a.example/", events=ALL)
    run(session, job)
    (event,) = list_events(session, job.id)
    assert len(json.dumps(event.payload)) < 20_000


def test_jobs_of_one_owner_and_url_share_an_endpoint(session: Session) -> None:
    first, second = make_told_job(session), make_told_job(session)
    other = make_told_job(session, url="https://b.example/")
    assert first.webhook_endpoint_id == second.webhook_endpoint_id != other.webhook_endpoint_id
    assert [endpoint.url for endpoint in endpoints.list_endpoints(session, owner_id=None, limit=9)] == [
        "https://a.example/",
        "https://b.example/",
    ]


def test_a_switched_off_endpoint_takes_no_new_job_and_gives_up_events(session: Session) -> None:
    running, event = make_told_job(session), make_event(session)
    run(session, running)
    endpoints.disable(session, event.endpoint_id, reason="It answered 410 Gone.")
    with pytest.raises(EndpointDisabled, match="410 Gone"):
        make_told_job(session)
    finish_next(session, running)
    session.expire_all()
    states = session.scalars(select(WebhookEvent.state)).all()
    assert states == [EventState.GIVEN_UP, EventState.GIVEN_UP]
    with pytest.raises(EndpointDisabled):
        webhooks.redeliver(session, event)


def test_an_enabled_endpoint_gets_what_is_redelivered(session: Session) -> None:
    event = make_event(session)
    endpoints.disable(session, event.endpoint_id, reason="It answered 410 Gone.")
    session.expire_all()
    endpoints.enable(session, session.get_one(WebhookEndpoint, event.endpoint_id))
    webhooks.redeliver(session, event)
    assert (event.state, event.attempt, event.finished_at) == (EventState.PENDING, 0, None)
    assert session.scalar(select(WebhookEvent.next_at <= func.now()))


def test_what_is_somebody_elses_is_not_there(session: Session) -> None:
    event = make_event(session)
    assert webhooks.get_event(session, event.id, owner_id=None) is event
    assert webhooks.get_event(session, event.id, owner_id=uuid.uuid4()) is None
    assert endpoints.get_endpoint(session, event.endpoint_id, owner_id=uuid.uuid4()) is None
    assert endpoints.list_endpoints(session, owner_id=uuid.uuid4(), limit=9) == []
