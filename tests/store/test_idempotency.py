from datetime import timedelta

import pytest
from sqlalchemy import func, update
from sqlalchemy.orm import Session

from store import idempotency
from store.idempotency import FirstAnswer, Hold, KeyLost
from store.models import IdempotencyKey
from tests.store.rows import make_job

DAY = 24 * 3600.0
BODY = {"state": "queued"}


def begin(session: Session, *, client: str = "anonymous", key: str = "key-1") -> Hold | FirstAnswer | None:
    return idempotency.begin(session, Hold(client, key), lease_seconds=60, keep_seconds=DAY)


def hold(session: Session) -> Hold:
    found = begin(session)
    assert isinstance(found, Hold)
    return found


def record(session: Session, held: Hold) -> None:
    idempotency.record_answer(session, held, fingerprint="abc", job_id=make_job(session).id, status=202, body=BODY)


def age(session: Session, column: str, seconds: float) -> None:
    session.execute(update(IdempotencyKey).values({column: func.now() - timedelta(seconds=seconds)}))
    session.expire_all()


def test_a_key_is_held_until_its_answer_is_there_and_then_gives_that(session: Session) -> None:
    held = hold(session)
    assert begin(session) is None
    record(session, held)
    assert begin(session) == FirstAnswer("abc", 202, BODY)


def test_clients_do_not_share_keys(session: Session) -> None:
    hold(session)
    assert isinstance(begin(session, client="somebody"), Hold)


def test_a_key_that_is_given_back_is_free_and_an_answer_is_not_given_back(session: Session) -> None:
    idempotency.release(session, hold(session))
    held = hold(session)
    record(session, held)
    idempotency.release(session, held)
    assert isinstance(begin(session), FirstAnswer)


def test_a_request_that_fell_silent_loses_its_key_and_can_record_nothing(session: Session) -> None:
    silent = hold(session)
    age(session, "lease_until", 1)
    taken = hold(session)
    with pytest.raises(KeyLost):
        record(session, silent)
    idempotency.release(session, silent)
    assert begin(session) is None
    record(session, taken)


def test_a_renewed_key_is_kept(session: Session) -> None:
    held = hold(session)
    age(session, "lease_until", 1)
    idempotency.renew(session, held, lease_seconds=60)
    assert begin(session) is None


def test_a_key_is_forgotten_after_its_time_but_not_while_its_request_runs(session: Session) -> None:
    held = hold(session)
    age(session, "created_at", DAY + 1)
    assert idempotency.delete_outdated(session, keep_seconds=DAY, limit=9) == 0
    record(session, held)
    assert isinstance(begin(session), Hold)
    age(session, "lease_until", 1)
    age(session, "created_at", DAY + 1)
    assert idempotency.delete_outdated(session, keep_seconds=DAY, limit=9) == 1
