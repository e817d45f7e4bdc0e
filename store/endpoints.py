"""Endpoints: the addresses that clients want events sent to. One row for each owner and URL, switched off and on here.

Their hosts have rows, too, one for each owner and host. Whoever changes or removes something of a host, its endpoints or their
events as one locks the host first: it stands for all of them.
"""

import uuid
from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import delete, exists, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from store.base import new_id
from store.models import Job, WebhookEndpoint, WebhookEvent, WebhookHost
from store.states import EventState
from store.targets import parse_target
from store.webhook_errors import EndpointDisabled


def find_or_create(session: Session, *, owner_id: uuid.UUID | None, url: str) -> WebhookEndpoint:
    """The owner's endpoint of that URL, kept as it will be sent. Raises `EndpointDisabled`."""
    target = parse_target(url, http_allowed=True)
    url, host_id = target.url, _hold_host(session, owner_id, target.authority)
    new = insert(WebhookEndpoint).values(id=new_id(), owner_id=owner_id, host_id=host_id, url=url)
    session.execute(new.on_conflict_do_nothing(index_elements=["owner_id", "url"]))
    of_owner = WebhookEndpoint.owner_id.is_not_distinct_from(owner_id)
    endpoint = session.scalars(select(WebhookEndpoint).where(of_owner, WebhookEndpoint.url == url)).one()
    refuse_disabled(endpoint)
    return endpoint


def _hold_host(session: Session, owner_id: uuid.UUID | None, name: str) -> uuid.UUID:
    """The owner's host of that name, which nobody removes, nor any endpoint of it, until the transaction ends."""
    of_owner = WebhookHost.owner_id.is_not_distinct_from(owner_id)
    query = select(WebhookHost.id).where(of_owner, WebhookHost.name == name).with_for_update(read=True, key_share=True)
    while (found := session.scalar(query)) is None:
        new = insert(WebhookHost).values(id=new_id(), owner_id=owner_id, name=name)
        session.execute(new.on_conflict_do_nothing(index_elements=["owner_id", "name"]))
    return found


def refuse_disabled(endpoint: WebhookEndpoint) -> None:
    """Raises `EndpointDisabled`."""
    if endpoint.disabled_at is not None:
        raise EndpointDisabled(f"{EndpointDisabled.__doc__} It is {endpoint.id}: {endpoint.disabled_reason}")


def list_endpoints(
    session: Session, *, owner_id: uuid.UUID | None, limit: int, after: uuid.UUID | None = None
) -> Sequence[WebhookEndpoint]:
    """The owner's, or every one for None, the oldest first; `after` continues where a page ended."""
    query = select(WebhookEndpoint).order_by(WebhookEndpoint.id).limit(limit)
    if owner_id:
        query = query.where(WebhookEndpoint.owner_id == owner_id)
    return session.scalars(query.where(WebhookEndpoint.id > after) if after else query).all()


def get_endpoint(session: Session, endpoint_id: uuid.UUID, *, owner_id: uuid.UUID | None) -> WebhookEndpoint | None:
    """The endpoint of that id, unless it is somebody else's."""
    endpoint = session.get(WebhookEndpoint, endpoint_id)
    return endpoint if endpoint and owner_id in (None, endpoint.owner_id) else None


def enable(session: Session, endpoint: WebhookEndpoint) -> None:
    """Send to it again, and count its host's days of failure anew. What was given up meanwhile can be redelivered by hand."""
    lock_host(session, endpoint.host_id)
    note_success(session, endpoint.host_id)
    endpoint.disabled_at = endpoint.disabled_reason = None
    session.flush()
    session.refresh(endpoint)


def lock_host(session: Session, host_id: uuid.UUID, *, to_remove: bool = False) -> None:
    """Until the transaction ends. Locked to be changed, it lets events be recorded; locked to be removed, it does not."""
    query = select(WebhookHost.id).where(WebhookHost.id == host_id)
    session.execute(query.with_for_update(key_share=not to_remove))


def note_success(session: Session, host_id: uuid.UUID) -> None:
    """It answers; what it failed before is forgotten."""
    failing = update(WebhookHost).where(WebhookHost.id == host_id, WebhookHost.failing_since.is_not(None))
    session.execute(failing.values(failing_since=None))


def note_failure(session: Session, endpoint_id: uuid.UUID, host_id: uuid.UUID, *, failing_days: float) -> None:
    """The host failed; its endpoint is switched off when the host has done nothing else for `failing_days`."""
    since = func.coalesce(WebhookHost.failing_since, func.now())
    session.execute(update(WebhookHost).where(WebhookHost.id == host_id).values(failing_since=since))
    too_long = WebhookHost.failing_since < func.now() - timedelta(days=failing_days)
    if session.scalar(select(WebhookHost.id).where(WebhookHost.id == host_id, too_long)):
        disable(session, endpoint_id, reason=f"Every attempt of {failing_days:g} days has failed.")


def remove_unused(session: Session, endpoint_id: uuid.UUID, host_id: uuid.UUID) -> None:
    """Remove the endpoint if no job names it any more, and its host if it has no other. The caller has locked the host."""
    unused = WebhookEndpoint.id == endpoint_id, ~exists().where(Job.webhook_endpoint_id == endpoint_id)
    session.execute(delete(WebhookEndpoint).where(*unused))
    empty = WebhookHost.id == host_id, ~exists().where(WebhookEndpoint.host_id == host_id)
    session.execute(delete(WebhookHost).where(*empty))


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
