"""Idempotency keys: a client's own names for its submissions. The same request again gets the first answer, not a second job.

A key is held under a lease while its first request runs, so that a process that dies in mid-upload blocks it for a minute and
not for a day. The first answer is committed together with the job.
"""

import uuid
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, delete, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from store.base import new_id
from store.models import IdempotencyKey


class KeyLost(Exception):
    """The request took longer than its hold on the idempotency key, which another request has now."""


@dataclass(frozen=True, slots=True)
class Hold:
    """A key in the hands of the request that runs first, or is about to; every write carries `token`."""

    client: str
    key: str
    token: uuid.UUID = field(default_factory=new_id)


@dataclass(frozen=True, slots=True)
class FirstAnswer:
    """What the first request was answered, and the fingerprint of what it had sent."""

    fingerprint: str
    status: int
    body: dict[str, Any]


def begin(session: Session, hold: Hold, *, lease_seconds: float, keep_seconds: float) -> Hold | FirstAnswer | None:
    """Take the key, or read what its first request was answered. None while that one runs."""
    lease = {"lease_token": hold.token, "lease_until": func.now() + timedelta(seconds=lease_seconds)}
    fresh = insert(IdempotencyKey).values(id=new_id(), client=hold.client, key=hold.key, **lease)
    over = or_(_outdated(keep_seconds), IdempotencyKey.status.is_(None) & (IdempotencyKey.lease_until < func.now()))
    empty = {"fingerprint": None, "job_id": None, "status": None, "answer": None, "created_at": func.now()}
    taken = fresh.on_conflict_do_update(index_elements=["client", "key"], set_=lease | empty, where=over)
    if session.scalar(taken.returning(IdempotencyKey.id)) is not None:
        return hold
    row = session.scalars(select(IdempotencyKey).filter_by(client=hold.client, key=hold.key)).one_or_none()
    if row is None or row.status is None or row.fingerprint is None or row.answer is None:
        return None
    return FirstAnswer(row.fingerprint, row.status, row.answer)


def renew(session: Session, hold: Hold, *, lease_seconds: float) -> None:
    """Hold the key for another `lease_seconds`."""
    session.execute(
        update(IdempotencyKey).where(*_held(hold)).values(lease_until=func.now() + timedelta(seconds=lease_seconds))
    )


def record_answer(
    session: Session, hold: Hold, *, fingerprint: str, job_id: uuid.UUID, status: int, body: dict[str, Any]
) -> None:
    """Keep the answer; belongs into the transaction that writes the job. Raises `KeyLost`, and then there must be no job."""
    answer = {"fingerprint": fingerprint, "job_id": job_id, "status": status, "answer": body}
    recorded = update(IdempotencyKey).where(*_held(hold)).values(**answer, lease_until=None)
    written = session.scalar(recorded.returning(IdempotencyKey.id))
    if written is None:
        raise KeyLost(KeyLost.__doc__)


def release(session: Session, hold: Hold) -> None:
    """Give the key back unused: its request was refused or failed. Does nothing once there is an answer."""
    session.execute(delete(IdempotencyKey).where(*_held(hold)))


def delete_outdated(session: Session, *, keep_seconds: float, limit: int) -> int:
    """Forget keys that are older than `keep_seconds`; how many."""
    old = select(IdempotencyKey.id).where(_outdated(keep_seconds)).limit(limit).with_for_update(skip_locked=True)
    deleted = session.scalars(delete(IdempotencyKey).where(IdempotencyKey.id.in_(old)).returning(IdempotencyKey.id))
    return len(deleted.all())


def _held(hold: Hold) -> tuple[ColumnElement[bool], ...]:
    named = (IdempotencyKey.client == hold.client, IdempotencyKey.key == hold.key)
    return (*named, IdempotencyKey.lease_token == hold.token, IdempotencyKey.status.is_(None))


def _outdated(keep_seconds: float) -> ColumnElement[bool]:
    """Not those whose first request still runs, however long it does."""
    old = IdempotencyKey.created_at < func.now() - timedelta(seconds=keep_seconds)
    return old & or_(IdempotencyKey.status.is_not(None), IdempotencyKey.lease_until < func.now())
