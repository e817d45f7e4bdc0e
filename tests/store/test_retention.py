from datetime import timedelta

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from store import chunks, deliveries, jobs, planning, predictions, retention, webhooks
from store.base import Base
from store.deliveries import Outcome
from store.models import Chunk, Job, Prediction, Upload, WebhookAttempt, WebhookEndpoint, WebhookEvent, WebhookHost
from store.planning import Plan
from store.predictions import Filters
from store.retention import Step
from store.states import JobState
from tests.store.rows import begin, chunks_of, claim, claim_events, finish, make_answer, make_item, make_job, make_running_job

MINUTE = 60


def make_ended_job(session: Session) -> Job:
    job = make_running_job(session)
    job.retention_seconds = MINUTE
    session.flush()
    finish(session, claim(session, chunks_of(session, job)[0].id))
    return job


def expire(session: Session, job: Job) -> None:
    session.execute(update(Job).where(Job.id == job.id).values(expires_at=func.now() - timedelta(seconds=1)))


def make_single(session: Session, *, age_seconds: float, blob_key: str) -> None:
    upload = Upload(name="a.png", is_archive=False, blob_key=blob_key, size_bytes=1)
    session.add(upload)
    session.flush()
    upload.created_at = func.now() - timedelta(seconds=age_seconds)
    item = predictions.Item(ordinal=0, upload_id=upload.id, member_index=None, file="a.png")
    predictions.insert_predictions(session, [make_answer(item)], job_id=None, model_version="7")
    session.flush()


def rows(session: Session, table: type[Base]) -> int:
    return session.scalar(select(func.count()).select_from(table)) or 0


def test_an_ended_job_expires_when_its_time_is_over_and_leaves_its_row(session: Session) -> None:
    job = make_ended_job(session)
    assert retention.expired_jobs(session, limit=9) == []
    expire(session, job)
    assert retention.expired_jobs(session, limit=9) == [job.id]
    assert retention.expire_job(session, job.id) == Step(["key-0"], is_last=True)
    session.refresh(job)
    assert (job.state, job.succeeded) == (JobState.EXPIRED, 1)
    assert (rows(session, Upload), rows(session, Prediction), chunks_of(session, job)) == (0, 0, [])
    assert retention.expired_jobs(session, limit=9) == []
    assert retention.expire_job(session, job.id) == Step([], is_last=True)
    assert jobs.list_jobs(session, owner_id=None, limit=9) == []


def test_what_was_told_of_a_job_goes_with_it_and_its_endpoint_with_the_last_job(session: Session) -> None:
    first, second = make_ended_job(session), make_ended_job(session)
    for job in (first, second):
        webhooks.subscribe(session, job, url="https://a.example/", events=webhooks.DEFAULT_EVENTS)
        webhooks.record_end(session, job)
        expire(session, job)
    (delivery,) = claim_events(session, limit=1)
    outcome = Outcome(milliseconds=1, status=500)
    assert deliveries.mark_failed(session, delivery, outcome, failing_days=1)
    retention.expire_job(session, first.id)
    assert [event.job_id for event in session.scalars(select(WebhookEvent))] == [second.id]
    assert (rows(session, WebhookEndpoint), rows(session, WebhookHost)) == (1, 1)
    retention.expire_job(session, second.id)
    for table in (WebhookEvent, WebhookAttempt, WebhookEndpoint, WebhookHost):
        assert rows(session, table) == 0
    assert not deliveries.mark_failed(session, delivery, outcome, failing_days=1)


def test_a_job_that_goes_on_does_not_expire(session: Session) -> None:
    job = make_running_job(session)
    expire(session, job)
    assert retention.expired_jobs(session, limit=9) == []
    assert retention.expire_job(session, job.id) == Step([], is_last=True)
    assert rows(session, Upload) == 1


def make_large_job(session: Session) -> Job:
    """Of five items in three chunks and three uploads, ended, its time over."""
    job = make_job(session, uploads=3)
    members = [[chunks.member(make_item(job, ordinal)) for ordinal in places] for places in ((0, 1), (2, 3), (4,))]
    plan = Plan(model_version="7", review_threshold=0.9, chunks=members, refused=[])
    planning.finish_planning(session, job.id, begin(session, job), plan)
    for chunk in chunks_of(session, job):
        finish(session, claim(session, chunk.id))
    expire(session, job)
    return job


def test_a_large_job_goes_in_steps_and_is_found_until_nothing_is_left(session: Session) -> None:
    job, left = make_large_job(session), []
    while True:
        assert retention.expired_jobs(session, limit=9) == [job.id]
        step = retention.expire_job(session, job.id, rows=2, files=2)
        session.refresh(job)
        assert job.state == JobState.EXPIRED
        left.append((rows(session, Prediction), rows(session, Chunk), rows(session, Upload), sorted(step.blob_keys)))
        if step.is_last:
            break
        assert job.purged_at is None
    assert left == [
        *((3, 3, 3, []), (1, 3, 3, [])),
        *((0, 1, 3, []), (0, 0, 1, left[3][3]), (0, 0, 0, left[4][3])),
    ]
    assert sorted(left[3][3] + left[4][3]) == ["key-0", "key-1", "key-2"]
    assert job.purged_at
    assert retention.expired_jobs(session, limit=9) == []


def test_of_a_job_that_is_half_gone_nothing_is_shown(session: Session) -> None:
    job = make_large_job(session)
    answers = [row.id for row in predictions.list_results(session, job, filters=Filters(), limit=9)]
    assert all(predictions.get_prediction(session, answer, owner_id=None) for answer in answers)
    retention.expire_job(session, job.id, rows=2)
    assert rows(session, Prediction) == 3
    assert [answer for answer in answers if predictions.get_prediction(session, answer, owner_id=None)] == []


def test_a_job_without_retention_is_kept(session: Session) -> None:
    job = make_running_job(session)
    finish(session, claim(session, chunks_of(session, job)[0].id))
    assert job.expires_at is None
    assert retention.expired_jobs(session, limit=9) == []


def test_a_blob_goes_with_the_last_job_that_names_it(session: Session) -> None:
    first, second = make_ended_job(session), make_ended_job(session)
    assert retention.expire_job(session, first.id).blob_keys == []
    assert retention.expire_job(session, second.id).blob_keys == ["key-0"]


def test_single_images_are_deleted_with_their_predictions(session: Session) -> None:
    make_single(session, age_seconds=MINUTE + 1, blob_key="old")
    make_single(session, age_seconds=MINUTE - 9, blob_key="young")
    make_ended_job(session)
    assert retention.expire_singles(session, retention_seconds=MINUTE, limit=9) == ["old"]
    assert (rows(session, Upload), rows(session, Prediction)) == (2, 2)
    assert retention.expire_singles(session, retention_seconds=MINUTE, limit=9) == []
