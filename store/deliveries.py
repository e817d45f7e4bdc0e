"""Deliveries: an event in a deliverer's hands, under a lease; what came of the attempt; when it is due again.

A deliverer that slept past its lease holds a token that nobody honours any more. Only the database's clock counts.
"""

import random
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import case, func, lateral, select, true, update
from sqlalchemy.orm import Session

from store import endpoints, predictions
from store.base import new_id
from store.models import Key, WebhookAttempt, WebhookEndpoint, WebhookEvent, WebhookHost
from store.states import EventState

_MINUTE, _HOUR = 60.0, 3600.0
SCHEDULE_SECONDS = (
    *(0.0, 5.0, 5 * _MINUTE, 30 * _MINUTE),
    *(2 * _HOUR, 5 * _HOUR, 10 * _HOUR, 14 * _HOUR, 20 * _HOUR, 24 * _HOUR),
)
"""What is waited before each attempt: the schedule that Standard Webhooks publishes. There are no more attempts than that."""

MAX_RETRY_AFTER_SECONDS = 24 * _HOUR
_JITTER = 0.2  # of the delay, at most: what failed together need not come back together
_GONE = 410
_IN_HAND = (WebhookEvent.lease_token.is_not(None), WebhookEvent.state == EventState.PENDING)
_MAX_ERROR = 500


@dataclass(frozen=True, slots=True)
class Delivery:
    """An event that one deliverer has; every later write carries `token`. No `secrets`: its owner is nobody's key."""

    event_id: uuid.UUID
    endpoint_id: uuid.UUID
    host_id: uuid.UUID
    token: uuid.UUID
    attempt: int
    url: str
    payload: dict[str, Any]
    secrets: tuple[str, ...]
    is_suspect: bool  # its host failed the last time


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of an attempt: the receiver's status, or why there is none."""

    milliseconds: int
    status: int | None = None
    error: str | None = None
    retry_after_seconds: float | None = None

    @property
    def is_success(self) -> bool:
        """Whether the receiver took it."""
        return self.status is not None and 200 <= self.status < 300


@dataclass(frozen=True, slots=True)
class Shares:
    """How many events may be in all deliverers' hands at once: of one host of an owner, and of one key."""

    per_host: int
    per_key: int

    def of_suspects(self) -> "Shares":
        """One event at a time shows whether a host is back, and the key's other hosts have half of its share at least."""
        return Shares(per_host=1, per_key=max(1, self.per_key // 2))


def claim_due_events(session: Session, *, suspects: bool, limit: int, shares: Shares, lease_seconds: float) -> list[Delivery]:
    """Take at most `limit` of what is due, and of no host or key more than its share.

    Either of `suspects`, hosts that failed the last time, or of the others: who calls decides how many of the former may keep
    it waiting.
    """
    chosen = _due_ids(suspects=suspects, limit=limit, shares=shares.of_suspects() if suspects else shares)
    free = select(WebhookEvent.id).where(WebhookEvent.id.in_(chosen), *_is_due()).with_for_update(skip_locked=True)
    claimed = session.scalars(
        update(WebhookEvent)
        .where(WebhookEvent.id.in_(free))
        .values(
            attempt=WebhookEvent.attempt + 1,
            lease_token=func.gen_random_uuid(),
            lease_until=func.now() + timedelta(seconds=lease_seconds),
        )
        .returning(WebhookEvent)
        .execution_options(populate_existing=True)
    ).all()
    return _read_deliveries(session, claimed)


def _is_due() -> tuple[Any, ...]:
    """Conditions that are looked at again when the row is locked: another deliverer may have taken it meanwhile."""
    return (
        WebhookEvent.state == EventState.PENDING,
        WebhookEvent.next_at <= func.now(),
        WebhookEvent.lease_token.is_(None),
    )


def _due_ids(*, suspects: bool, limit: int, shares: Shares) -> Any:
    """The first few due events of each host, as many as it and its key have room for."""
    due = _due_of_hosts(suspects=suspects, shares=shares).subquery()
    place = func.row_number().over(partition_by=due.c.owner_id, order_by=(due.c.next_at, due.c.id))
    placed = select(due, place.label("place_of_key")).subquery()
    held = select(WebhookHost.owner_id, func.count().label("number")).select_from(WebhookEvent).join(WebhookHost)
    held_of_keys = held.where(*_IN_HAND).group_by(WebhookHost.owner_id).subquery()
    number = func.coalesce(held_of_keys.c.number, 0)
    return (
        select(placed.c.id)
        .outerjoin(held_of_keys, held_of_keys.c.owner_id == placed.c.owner_id)
        .where(placed.c.owner_id.is_(None) | (placed.c.place_of_key + number <= shares.per_key))
        .order_by(placed.c.next_at)
        .limit(limit)
    )


def _due_of_hosts(*, suspects: bool, shares: Shares) -> Any:
    in_hand = (
        select(func.count())
        .select_from(WebhookEvent)
        .where(WebhookEvent.host_id == WebhookHost.id, *_IN_HAND)
        .correlate(WebhookHost)
    ).scalar_subquery()
    first = lateral(
        select(WebhookEvent.id, WebhookEvent.next_at, func.row_number().over(order_by=WebhookEvent.next_at).label("place"))
        .join(WebhookEndpoint, WebhookEndpoint.id == WebhookEvent.endpoint_id)
        .where(WebhookEvent.host_id == WebhookHost.id, WebhookEndpoint.disabled_at.is_(None), *_is_due())
        .order_by(WebhookEvent.next_at)
        .limit(shares.per_host)
    )
    is_suspect = WebhookHost.failing_since.is_not(None)
    is_revoked = select(Key.revoked_at).where(Key.id == WebhookHost.owner_id).scalar_subquery().is_not(None)
    return (
        select(first.c.id, first.c.next_at, WebhookHost.owner_id)
        .select_from(WebhookHost)
        .join(first, true())
        .where(~is_revoked, is_suspect == suspects, first.c.place + in_hand <= shares.per_host)
    )


def _read_deliveries(session: Session, claimed: Sequence[WebhookEvent]) -> list[Delivery]:
    wanted = {event.endpoint_id for event in claimed}
    rotating = case((Key.previous_webhook_until > func.now(), Key.previous_webhook_secret))
    query = (
        select(WebhookEndpoint, Key.webhook_secret, rotating)
        .outerjoin(Key, Key.id == WebhookEndpoint.owner_id)
        .where(WebhookEndpoint.id.in_(wanted))
        .execution_options(populate_existing=True)
    )
    found = {endpoint.id: (endpoint, secrets) for endpoint, *secrets in session.execute(query)}
    deliveries = []
    for event in claimed:
        endpoint, secrets = found[event.endpoint_id]
        assert event.lease_token
        deliveries.append(
            Delivery(
                event_id=event.id,
                endpoint_id=endpoint.id,
                host_id=endpoint.host_id,
                token=event.lease_token,
                attempt=event.attempt,
                url=endpoint.url,
                payload=event.payload,
                secrets=tuple(filter(None, secrets)),
                is_suspect=endpoint.failing_since is not None,
            )
        )
    return deliveries


def mark_delivered(session: Session, delivery: Delivery, outcome: Outcome) -> bool:
    """pending → delivered. False when the lease was lost; then nothing is written."""
    endpoints.lock_host(session, delivery.host_id)
    if not _settle(session, delivery, state=EventState.DELIVERED, finished_at=func.now()):
        return False
    _log_attempt(session, delivery, outcome)
    endpoints.note_success(session, delivery.host_id)
    return True


def mark_failed(session: Session, delivery: Delivery, outcome: Outcome, *, failing_days: float) -> bool:
    """Due again as the schedule says, or pending → given_up after its last attempt. False when the lease was lost."""
    endpoints.lock_host(session, delivery.host_id)
    if delivery.attempt < len(SCHEDULE_SECONDS):
        held = _settle(session, delivery, next_at=func.now() + _delay(delivery.attempt, outcome.retry_after_seconds))
    else:
        held = _settle(session, delivery, state=EventState.GIVEN_UP, finished_at=func.now())
    if not held:
        return False
    _log_attempt(session, delivery, outcome)
    if outcome.status == _GONE:
        endpoints.disable(session, delivery.endpoint_id, reason="It answered 410 Gone.")
    else:
        endpoints.note_failure(session, delivery.endpoint_id, delivery.host_id, failing_days=failing_days)
    return True


def _delay(attempts: int, retry_after_seconds: float | None) -> timedelta:
    """A receiver may ask for more patience than the schedule has, not for less."""
    asked = min(retry_after_seconds or 0.0, MAX_RETRY_AFTER_SECONDS)
    seconds = max(SCHEDULE_SECONDS[attempts], asked)
    return timedelta(seconds=seconds * random.uniform(1, 1 + _JITTER))  # noqa: S311  # it hides nothing


def _settle(session: Session, delivery: Delivery, **values: Any) -> bool:
    settled = session.scalars(
        update(WebhookEvent)
        .where(
            WebhookEvent.id == delivery.event_id,
            WebhookEvent.lease_token == delivery.token,
            WebhookEvent.state == EventState.PENDING,
        )
        .values(lease_token=None, lease_until=None, **values)
        .returning(WebhookEvent.id)
    )
    return settled.one_or_none() is not None


def _log_attempt(session: Session, delivery: Delivery, outcome: Outcome) -> None:
    error = predictions.shown_detail(outcome.error)[:_MAX_ERROR] if outcome.error else None  # it may quote the receiver
    attempt = WebhookAttempt(
        id=new_id(),
        event_id=delivery.event_id,
        started_at=func.now() - timedelta(milliseconds=outcome.milliseconds),
        milliseconds=outcome.milliseconds,
        status=outcome.status,
        error=error,
    )
    session.add(attempt)
    session.flush()


def release_expired(session: Session, *, limit: int) -> int:
    """Take events from deliverers that fell silent; how many. They are due at once: nobody knows whether they were told."""
    expired = (
        select(WebhookEvent.id)
        .where(WebhookEvent.lease_token.is_not(None), WebhookEvent.lease_until < func.now())
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    released = update(WebhookEvent).where(WebhookEvent.id.in_(expired)).values(lease_token=None, lease_until=None)
    return len(session.scalars(released.returning(WebhookEvent.id)).all())
