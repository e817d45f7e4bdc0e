import uuid

from sqlalchemy import text
from sqlalchemy.orm import Session

from store import jobs, quotas, retries
from store.models import Key, Prediction
from store.quotas import Backlog
from store.states import ItemStatus
from tests.store.rows import chunks_of, claim, finish, make_job, make_running_job


def make_key(session: Session) -> uuid.UUID:
    key = Key(name="archive", scopes=[], secret_sha256=uuid.uuid4().hex, webhook_secret="whsec_")
    session.add(key)
    session.flush()
    return key.id


def test_the_backlog_is_what_is_left_of_open_jobs(session: Session) -> None:
    assert quotas.backlog(session, owner_id=None) == Backlog(0, 0, 0)
    job = make_running_job(session, chunk_sizes=(2, 3))
    make_job(session)
    assert quotas.backlog(session, owner_id=None) == Backlog(5, 1, 2)
    finish(session, claim(session, chunks_of(session, job)[0].id))
    assert quotas.backlog(session, owner_id=None) == Backlog(3, 1, 2)
    jobs.request_cancel(session, job.id, reason="cancelled", detail="")
    assert quotas.backlog(session, owner_id=None) == Backlog(0, 1, 1)


def test_each_client_has_its_own_jobs_and_bytes(session: Session) -> None:
    owner = make_key(session)
    mine = make_job(session, uploads=2)
    mine.owner_id = owner
    for upload in mine.uploads:
        upload.owner_id, upload.size_bytes = owner, 10
    theirs = make_job(session)
    session.flush()
    assert (quotas.backlog(session, owner_id=owner).own_jobs, quotas.stored_bytes(session, owner_id=owner)) == (1, 20)
    jobs.request_cancel(session, theirs.id, reason="cancelled", detail="")
    assert (quotas.backlog(session, owner_id=None).own_jobs, quotas.stored_bytes(session, owner_id=None)) == (0, 1)


def test_what_a_retry_shares_counts_once(session: Session) -> None:
    job = make_running_job(session)
    finish(session, claim(session, chunks_of(session, job)[0].id))
    session.query(Prediction).update({"status": ItemStatus.FAILED})
    retries.retry_failed(session, job.id, cancel_after=None)
    assert quotas.stored_bytes(session, owner_id=None) == 1


def test_a_client_is_locked_until_the_transaction_ends(session: Session) -> None:
    quotas.lock_client(session, owner_id=None)
    held = text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()")
    assert session.scalar(held) == 1
