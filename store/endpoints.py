"""Endpoints: the addresses that clients want events sent to. One row for each owner and URL, switched off and on here."""

import uuid
from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from store.models import WebhookEndpoint, WebhookEvent, new_id
from store.states import EventState
from store.webhook_errors import EndpointDisabled


def find_or_create(session: Session, *, owner_id: uuid.UUID | None, url: str) -> WebhookEndpoint:
    """The owner's endpoint of that URL. Raises `EndpointDisabled`."""
    new = insert(WebhookEndpoint).values(id=new_id(), owner_id=owner_id, url=url)
    session.execute(new.on_conflict_do_nothing(index_elements=["owner_id", "url"]))
    of_owner = WebhookEndpoint.owner_id.is_not_distinct_from(owner_id)
    endpoint = session.scalars(select(WebhookEndpoint).where(of_owner, WebhookEndpoint.url == url)).one()
    refuse_disabled(endpoint)
    return endpoint


def refuse_disabled(endpoint: WebhookEndpoint) -> None:
    """Raises `EndpointDisabled`."""
    if endpoint.disabled_at is not None:
        raise EndpointDisabled(f"{EndpointDisabled.__doc__} It is {endpoint.id}: {endpoint.disabled_reason}")


def list_endpoints(session: Session, *, owner_id: uuid.UUID | None) -> Sequence[WebhookEndpoint]:
    """The owner's, the oldest first; every one for None."""
    query = select(WebhookEndpoint).order_by(WebhookEndpoint.id)
    return session.scalars(query.where(WebhookEndpoint.owner_id == owner_id) if owner_id else query).all()


def get_endpoint(session: Session, endpoint_id: uuid.UUID, *, owner_id: uuid.UUID | None) -> WebhookEndpoint | None:
    """The endpoint of that id, unless it is somebody else's."""
    endpoint = session.get(WebhookEndpoint, endpoint_id)
    return endpoint if endpoint and owner_id in (None, endpoint.owner_id) else None


def enable(session: Session, endpoint: WebhookEndpoint) -> None:
    """Send to it again. What was given up meanwhile stays so, and can be redelivered by hand."""
    endpoint.disabled_at = endpoint.disabled_reason = endpoint.failing_since = None
    session.flush()


def note_success(session: Session, endpoint_id: uuid.UUID) -> None:
    """It answers; what it failed before is forgotten."""
    failing = update(WebhookEndpoint).where(WebhookEndpoint.id == endpoint_id, WebhookEndpoint.failing_since.is_not(None))
    session.execute(failing.values(failing_since=None))


def note_failure(session: Session, endpoint_id: uuid.UUID, *, failing_days: float) -> None:
    """It failed; switched off when it has done nothing else for `failing_days`."""
    since = func.coalesce(WebhookEndpoint.failing_since, func.now())
    session.execute(update(WebhookEndpoint).where(WebhookEndpoint.id == endpoint_id).values(failing_since=since))
    too_long = WebhookEndpoint.failing_since < func.now() - timedelta(days=failing_days)
    if session.scalar(select(WebhookEndpoint.id).where(WebhookEndpoint.id == endpoint_id, too_long)):
        disable(session, endpoint_id, reason=f"Every attempt of {failing_days:g} days has failed.")


def disable(session: Session, endpoint_id: uuid.UUID, *, reason: str) -> None:
    """Send nothing more to it, and give up what waits."""
    session.execute(
        update(WebhookEndpoint).where(WebhookEndpoint.id == endpoint_id).values(disabled_at=func.now(), disabled_reason=reason)
    )
    session.execute(
        update(WebhookEvent)
        .where(WebhookEvent.endpoint_id == endpoint_id, WebhookEvent.state == EventState.PENDING)
        .values(state=EventState.GIVEN_UP, finished_at=func.now(), lease_token=None, lease_until=None)
    )
