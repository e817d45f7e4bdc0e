import uuid
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from store import idempotency, predictions, retention
from store.blobs import Blobs
from store.database import Database
from store.models import Job, Prediction, Upload
from store.retention import Step
from store.settings import Settings
from store.states import JobState
from tests.pictures import png
from tests.store.rows import make_answer
from tests.worker.conftest import HandQueue
from tests.worker.looks import read_job
from worker.rules import deadlines, expiry, rule
from worker.rules.rule import Tools

Submit = Callable[..., uuid.UUID]
Carry = Callable[[uuid.UUID], None]


@pytest.fixture
def tools(settings: Settings, database: Database, hand_queue: HandQueue) -> Tools:
    return Tools(settings, database, hand_queue)  # type: ignore[arg-type]  # stands in for a Queue


@pytest.fixture
def expired(submit: Submit, carry: Carry, database: Database) -> uuid.UUID:
    """A finished job whose time is over."""
    job_id = submit({"a.png": png()})
    carry(job_id)
    pass_moment(database, job_id, "expires_at")
    return job_id


def pass_moment(database: Database, job_id: uuid.UUID, column: str) -> None:
    with database.transaction() as session:
        past = func.now() - timedelta(seconds=1)
        session.execute(update(Job).where(Job.id == job_id).values({column: past}))


def blobs_of(settings: Settings) -> list[Path]:
    return [path for path in (settings.home_dir / "blobs").rglob("*") if path.is_file()]


def test_a_job_past_its_deadline_is_cancelled_with_that_reason(tools: Tools, submit: Submit, database: Database) -> None:
    late, other = submit({"a.png": png()}), submit({"a.png": png()})
    pass_moment(database, late, "cancel_after")
    assert (deadlines.cancel_overdue_jobs(tools), deadlines.cancel_overdue_jobs(tools)) == (1, 0)
    assert (read_job(database, late).state, read_job(database, late).reason) == (JobState.CANCELLED, "deadline")
    assert read_job(database, other).state == JobState.QUEUED


def test_an_expired_job_loses_its_files(tools: Tools, expired: uuid.UUID, settings: Settings, database: Database) -> None:
    assert len(blobs_of(settings)) == 1
    assert (expiry.expire_jobs(tools), expiry.expire_jobs(tools)) == (1, 0)
    assert read_job(database, expired).state == JobState.EXPIRED
    assert blobs_of(settings) == []


def test_a_sweep_that_dies_between_rows_and_files_leaves_files_without_rows(
    tools: Tools, expired: uuid.UUID, settings: Settings, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(_blobs: Blobs, _key: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Blobs, "delete", die)
    with pytest.raises(KeyboardInterrupt):
        expiry.expire_jobs(tools)
    assert read_job(database, expired).state == JobState.EXPIRED
    assert len(blobs_of(settings)) == 1
    with database.transaction() as session:
        assert session.scalars(select(Upload)).all() == session.scalars(select(Prediction)).all() == []


def test_a_file_that_cannot_be_deleted_does_not_keep_the_others(
    tools: Tools, submit: Submit, carry: Carry, settings: Settings, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = submit({"a.png": png(), "b.png": png()})
    carry(job_id)
    pass_moment(database, job_id, "expires_at")
    delete, failing = Blobs.delete, iter([True, False])

    def fail_once(blobs: Blobs, key: str) -> None:
        if next(failing):
            raise OSError("the disk is away")
        delete(blobs, key)

    monkeypatch.setattr(Blobs, "delete", fail_once)
    assert expiry.expire_jobs(tools) == 1
    assert len(blobs_of(settings)) == 1


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sweep whose time is over after the first step."""
    monkeypatch.setattr(rule, "PURGE_SECONDS", 0.0)


@pytest.mark.usefixtures("hurried")
def test_when_the_time_is_over_the_next_sweep_goes_on_with_the_job_that_is_half_done(
    tools: Tools, expired: uuid.UUID, submit: Submit, carry: Carry, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    large = submit({f"{name}.png": png() for name in "abc"})
    carry(large)
    with database.transaction() as session:
        session.execute(update(Job).where(Job.id == large).values(expires_at=func.now() - timedelta(hours=1)))
    monkeypatch.setattr(retention, "expire_job", partial(retention.expire_job, rows=2))
    assert expiry.expire_jobs(tools) == 0
    assert (read_job(database, large).state, read_job(database, large).purged_at) == (JobState.EXPIRED, None)
    assert read_job(database, expired).state == JobState.COMPLETED
    assert [expiry.expire_jobs(tools) for _ in range(4)] == [0, 1, 1, 0]
    assert [read_job(database, job_id).purged_at is not None for job_id in (large, expired)] == [True, True]


@pytest.mark.usefixtures("hurried")
def test_when_the_time_is_over_the_next_sweep_goes_on_with_the_single_images(
    tools: Tools, database: Database, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    for key in "abc":
        make_single(database, settings, key)
    monkeypatch.setattr(retention, "expire_singles", partial(retention.expire_singles, limit=2))
    assert [expiry.expire_singles(tools) for _ in range(3)] == [2, 1, 0]


def test_a_job_that_cannot_be_deleted_does_not_keep_the_others(
    tools: Tools,
    submit: Submit,
    carry: Carry,
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    bad, good = submit({"a.png": png()}), submit({"a.png": png()})
    for job_id in (bad, good):
        carry(job_id)
        pass_moment(database, job_id, "expires_at")
    expire_job = retention.expire_job

    def refuse_one(session: Session, job_id: uuid.UUID) -> Step:
        if job_id == bad:
            raise ZeroDivisionError
        return expire_job(session, job_id)

    monkeypatch.setattr(retention, "expire_job", refuse_one)
    assert expiry.expire_jobs(tools) == 1
    assert read_job(database, good).state == JobState.EXPIRED
    assert f"{bad} could not be put right" in caplog.text


def make_single(database: Database, settings: Settings, key: str = "old") -> None:
    Blobs(settings.blobs).write(key, b"scan")
    with database.transaction() as session:
        upload = Upload(name="a.png", is_archive=False, blob_key=key, size_bytes=4)
        session.add(upload)
        session.flush()
        item = predictions.Item(ordinal=0, upload_id=upload.id, member_index=None, file="a.png")
        predictions.insert_predictions(session, [make_answer(item)], job_id=None, model_version="7")
        upload.created_at = func.now() - timedelta(days=365)


def test_single_images_expire_unless_they_are_kept_for_ever(tools: Tools, database: Database, settings: Settings) -> None:
    make_single(database, settings)
    for_ever = Tools(settings.model_copy(update={"retention_seconds": None}), tools.database, tools.queue)
    assert (expiry.expire_singles(for_ever), len(blobs_of(settings))) == (0, 1)
    assert (expiry.expire_singles(tools), blobs_of(settings)) == (1, [])


def test_old_idempotency_keys_are_forgotten(tools: Tools, database: Database, settings: Settings) -> None:
    with database.transaction() as session:
        idempotency.begin(session, idempotency.Hold("anonymous", "k"), lease_seconds=-1, keep_seconds=60)
    assert expiry.forget_idempotency_keys(tools) == 0
    short = Tools(settings.model_copy(update={"idempotency_seconds": 0}), tools.database, tools.queue)
    assert (expiry.forget_idempotency_keys(short), expiry.forget_idempotency_keys(short)) == (1, 0)
