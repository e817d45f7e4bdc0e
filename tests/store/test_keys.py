import hashlib
import re
from datetime import timedelta

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from store import jobs, keys, predictions
from store.keys import KeyIsRevoked, KeyLimits, KeyNameTaken, NoSuchKey, Scope
from store.models import Key, Upload
from tests.store.rows import make_answer, make_item, make_job


def make_key(session: Session, *, name: str = "archive") -> tuple[Key, str]:
    return keys.create_key(session, name=name, scopes=[Scope.SUBMIT, Scope.READ])


def test_a_secret_is_random_and_only_its_hash_is_kept(session: Session) -> None:
    key, secret = make_key(session)
    _, other = make_key(session, name="other")
    assert re.fullmatch(r"pp_[A-Za-z0-9_-]{43}", secret)
    assert secret != other
    row = session.execute(select(*Key.__table__.columns).where(Key.id == key.id)).one()
    assert secret not in str(row)
    assert key.secret_sha256 == hashlib.sha256(secret.encode()).hexdigest()
    assert re.fullmatch(r"whsec_[A-Za-z0-9+/]{43}=", key.webhook_secret)


def test_a_key_is_found_by_its_secret_alone(session: Session) -> None:
    key, secret = make_key(session)
    found = keys.find_key(session, secret)
    assert found
    assert (found.key.id, found.is_current) == (key.id, True)
    assert keys.find_key(session, secret[:-1]) is None
    assert keys.find_key(session, key.secret_sha256) is None


def test_limits_are_kept_with_the_key(session: Session) -> None:
    limits = KeyLimits(max_open_jobs=3, max_stored_bytes=10, max_requests_per_minute=60)
    key, _ = keys.create_key(session, name="small", scopes=[Scope.READ], limits=limits)
    assert (key.scopes, key.max_open_jobs, key.max_stored_bytes, key.max_requests_per_minute) == (["read"], 3, 10, 60)


def test_a_replaced_secret_holds_until_its_time_is_over(session: Session) -> None:
    key, old = make_key(session)
    new = keys.rotate_secret(session, key, grace_seconds=60)
    assert [found.is_current for found in (keys.find_key(session, s) for s in (old, new)) if found] == [True, True]
    session.execute(update(Key).values(previous_until=func.now() - timedelta(seconds=1)))
    ended = keys.find_key(session, old)
    assert ended
    assert not ended.is_current


def test_without_grace_the_old_secret_is_unknown_at_once(session: Session) -> None:
    key, old = make_key(session)
    keys.rotate_secret(session, key, grace_seconds=60)
    keys.rotate_secret(session, key, grace_seconds=0)
    assert keys.find_key(session, old) is None
    assert (key.previous_sha256, key.previous_until) == (None, None)


def test_webhook_secrets_rotate_by_themselves(session: Session) -> None:
    key, secret = make_key(session)
    old = key.webhook_secret
    new = keys.rotate_webhook_secret(session, key, grace_seconds=60)
    assert (key.webhook_secret, key.previous_webhook_secret) == (new, old)
    assert key.previous_webhook_until
    assert keys.find_key(session, secret)
    keys.rotate_webhook_secret(session, key, grace_seconds=0)
    assert (key.previous_webhook_secret, key.previous_webhook_until) == (None, None)


def test_a_revoked_key_stays_and_cannot_be_rotated(session: Session) -> None:
    key, secret = make_key(session)
    keys.revoke_key(session, key)
    found = keys.find_key(session, secret)
    assert found
    assert found.key.revoked_at
    assert keys.has_keys(session.connection())
    for rotate in (keys.rotate_secret, keys.rotate_webhook_secret):
        with pytest.raises(KeyIsRevoked):
            rotate(session, key, grace_seconds=60)


def test_a_name_is_free_again_when_its_key_is_revoked(session: Session) -> None:
    key, _ = make_key(session)
    with pytest.raises(KeyNameTaken):
        make_key(session)
    keys.revoke_key(session, key)
    assert make_key(session)[0].id != key.id


def test_a_key_is_called_by_its_name_or_its_id(session: Session) -> None:
    key, _ = make_key(session)
    assert keys.key_called(session, "archive").id == keys.key_called(session, str(key.id)).id == key.id
    keys.revoke_key(session, key)
    with pytest.raises(NoSuchKey):
        keys.key_called(session, "archive")
    assert keys.key_called(session, str(key.id)).id == key.id


def test_there_are_no_keys_at_first(session: Session) -> None:
    assert not keys.has_keys(session.connection())
    make_key(session)
    assert keys.has_keys(session.connection())


def test_an_owner_sees_its_own_jobs_and_predictions_only(session: Session) -> None:
    mine, theirs = (make_key(session, name=name)[0].id for name in ("mine", "theirs"))
    job = make_job(session, owner_id=mine)
    other = make_job(session, owner_id=theirs)
    answer = make_answer(make_item(job))
    (prediction_id,) = predictions.insert_predictions(session, [answer], job_id=job.id, model_version="1")
    assert [found.id for found in jobs.list_jobs(session, owner_id=mine, limit=9)] == [job.id]
    assert jobs.get_job(session, job.id, owner_id=mine)
    assert jobs.get_job(session, job.id, owner_id=theirs) is None
    assert jobs.get_job(session, job.id, owner_id=None)
    assert jobs.get_job(session, other.id, owner_id=mine) is None
    assert predictions.get_prediction(session, prediction_id, owner_id=mine)
    assert predictions.get_prediction(session, prediction_id, owner_id=theirs) is None
    assert {upload.owner_id for upload in session.scalars(select(Upload))} == {mine, theirs}


def test_what_has_no_owner_is_seen_by_no_key_until_one_adopts_it(session: Session) -> None:
    job = make_job(session)
    key, _ = make_key(session)
    assert jobs.get_job(session, job.id, owner_id=key.id) is None
    assert keys.adopt(session, key) == 1
    session.expire_all()
    assert jobs.get_job(session, job.id, owner_id=key.id)
    assert job.uploads[0].owner_id == key.id
    assert keys.adopt(session, key) == 0
