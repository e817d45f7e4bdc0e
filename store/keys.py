"""Keys: who may use the service. Of an API secret only its SHA-256 is kept; it is shown once, when it is made.

A key is revoked, never deleted: it goes on owning what was made with it, and a service that has had a key is never open again.
"""

import base64
import hashlib
import hmac
import secrets
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from sqlalchemy import Connection, bindparam, exists, func, or_, select, update
from sqlalchemy.orm import Session

from store.base import driver_text, new_id
from store.models import Job, Key, Upload, WebhookEndpoint, WebhookHost

SECRET_PREFIX = "pp_"  # noqa: S105  # by which people and scanners know a key of ours
WEBHOOK_PREFIX = "whsec_"
_SECRET_BYTES = 32
# Asked of every request, and built once, since building takes longer than Postgres does.
_ANY_KEY = driver_text(select(exists(select(Key.id))))
_KEY_OF_SECRET = select(Key, func.coalesce(Key.previous_until > func.now(), False)).where(
    or_(Key.secret_sha256 == bindparam("digest"), Key.previous_sha256 == bindparam("digest"))
)


class Scope(StrEnum):
    """What a key may be used for; none includes another."""

    SUBMIT = "submit"  # send images and jobs, and stop or repeat jobs of one's own
    READ = "read"  # see one's own jobs, results and images
    ADMIN = "admin"  # see figures of the service and all versions of the model


class KeyFault(Exception):
    """The key cannot be used so."""


class NoSuchKey(KeyFault):
    """There is no key of that name or id."""


class KeyNameTaken(KeyFault):
    """There is a key of that name already."""


class KeyIsRevoked(KeyFault):
    """The key is revoked, for good; make another."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyLimits:
    """What one key may use of the service; None leaves it to the setting of that name."""

    max_open_jobs: int | None = None
    max_stored_bytes: int | None = None
    max_requests_per_minute: int | None = None


@dataclass(frozen=True, slots=True)
class FoundKey:
    """The key that a secret belongs to; not `is_current` where that secret was replaced and its time is over."""

    key: Key
    is_current: bool


def create_key(session: Session, *, name: str, scopes: Iterable[Scope], limits: KeyLimits | None = None) -> tuple[Key, str]:
    """A new key and its secret, which nobody can show again. Raises `KeyNameTaken` while a key of that name is in use."""
    if _in_use(session, name):
        raise KeyNameTaken(f"There is a key {name!r} already; revoke it, rotate it, or choose another name.")
    secret, given = _new_secret(), limits or KeyLimits()
    key = Key(
        id=new_id(),
        name=name,
        scopes=sorted(set(scopes)),
        secret_sha256=_sha256(secret),
        webhook_secret=_new_webhook_secret(),
        max_open_jobs=given.max_open_jobs,
        max_stored_bytes=given.max_stored_bytes,
        max_requests_per_minute=given.max_requests_per_minute,
    )
    session.add(key)
    session.flush()
    return key, secret


def adopt(session: Session, key: Key) -> int:
    """Give the key whatever was made while there were no keys, and say how many jobs those were."""
    for table in (Upload, WebhookHost, WebhookEndpoint):
        session.execute(update(table).where(table.owner_id.is_(None)).values(owner_id=key.id))
    adopted = update(Job).where(Job.owner_id.is_(None)).values(owner_id=key.id).returning(Job.id)
    return len(session.scalars(adopted).all())


def count_ownerless(session: Session) -> int:
    """How many jobs were made while there were no keys, and are seen by none."""
    return session.scalar(select(func.count()).where(Job.owner_id.is_(None))) or 0


def list_keys(session: Session) -> Sequence[Key]:
    """Every key, revoked ones too, the oldest first."""
    return session.scalars(select(Key).order_by(Key.id)).all()


def has_keys(connection: Connection) -> bool:
    """Whether there is any key, were it a revoked one: then the service is not open."""
    return bool(connection.exec_driver_sql(_ANY_KEY).scalar())


def find_key(session: Session, secret: str) -> FoundKey | None:
    """The key of this secret, or of the one that it replaced, in one statement. A revoked key is found too."""
    digest = _sha256(secret)
    row = session.execute(_KEY_OF_SECRET, {"digest": digest}).one_or_none()
    if row is None:
        return None
    key, grace = row
    # The index has found it by then; compared again so that what admits somebody takes the same time whatever is sent.
    if hmac.compare_digest(key.secret_sha256, digest):
        return FoundKey(key, is_current=True)
    if key.previous_sha256 is not None and hmac.compare_digest(key.previous_sha256, digest):
        return FoundKey(key, is_current=grace)
    return None


def key_called(session: Session, name_or_id: str) -> Key:
    """The key of that id, or in use under that name, locked. Raises `NoSuchKey`."""
    named = select(Key).where(Key.name == name_or_id, Key.revoked_at.is_(None))
    query = select(Key).where(Key.id == found) if (found := _as_id(name_or_id)) else named
    key = session.scalars(query.with_for_update()).first()
    if key is None:
        raise NoSuchKey(f"There is no key {name_or_id!r} in use; `penpress keys list` shows them all.")
    return key


def revoke_key(session: Session, key: Key) -> None:
    """From now on its secrets are refused; what it owns stays."""
    if key.revoked_at is None:
        key.revoked_at = session.scalar(select(func.now()))
    session.flush()


def rotate_secret(session: Session, key: Key, *, grace_seconds: float) -> str:
    """A new API secret; the one before holds for `grace_seconds` more, and any before that no longer.

    Raises `KeyIsRevoked`.
    """
    _demand_in_use(key)
    secret = _new_secret()
    key.previous_sha256, key.previous_until = None, None
    if grace_seconds > 0:
        key.previous_sha256 = key.secret_sha256
        key.previous_until = session.scalar(select(func.now() + timedelta(seconds=grace_seconds)))
    key.secret_sha256 = _sha256(secret)
    session.flush()
    return secret


def rotate_webhook_secret(session: Session, key: Key, *, grace_seconds: float) -> str:
    """A new secret for webhooks; for `grace_seconds` more they are signed with the one before too. Raises `KeyIsRevoked`."""
    _demand_in_use(key)
    key.previous_webhook_secret, key.previous_webhook_until = None, None
    if grace_seconds > 0:
        key.previous_webhook_secret = key.webhook_secret
        key.previous_webhook_until = session.scalar(select(func.now() + timedelta(seconds=grace_seconds)))
    key.webhook_secret = _new_webhook_secret()
    session.flush()
    return key.webhook_secret


def _in_use(session: Session, name: str) -> bool:
    return bool(session.scalar(select(exists().where(Key.name == name, Key.revoked_at.is_(None)))))


def _demand_in_use(key: Key) -> None:
    if key.revoked_at is not None:
        raise KeyIsRevoked(f"The key {key.name!r} is revoked, for good; make another.")


def _as_id(text: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(text)
    except ValueError:
        return None


def _new_secret() -> str:
    return SECRET_PREFIX + secrets.token_urlsafe(_SECRET_BYTES)


def _new_webhook_secret() -> str:
    return WEBHOOK_PREFIX + base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()


def _sha256(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
