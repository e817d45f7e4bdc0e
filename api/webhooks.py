"""Webhooks over HTTP: what was told of a job and how often it was tried, telling it again, endpoints that were switched off."""

from collections.abc import Sequence
from datetime import datetime
from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.orm import Session

from api.deps import ServicesDep, SessionDep
from api.documented import problems
from api.examples import WEBHOOK_ENDPOINT, WEBHOOK_EVENT
from api.identity import CallerDep
from api.jobs import found_job
from api.pages import cut_page, parse_cursor
from api.refusals import BadCursor, InvalidRequest, JobExpired, NotFound
from store import endpoints, webhooks
from store.models import WebhookEvent
from store.states import EventState, EventType
from store.webhook_errors import EndpointDisabled

router = APIRouter(tags=["webhooks"])


class AttemptView(BaseModel):
    """One try to deliver an event."""

    model_config = ConfigDict(from_attributes=True)

    started_at: datetime
    milliseconds: int
    status: int | None = Field(description="The receiver's answer, if there was one.")
    error: str | None = Field(description="Why it counts as failed, if it does.")


class EventView(BaseModel):
    """Something that happened to a job, and how it was told; `id` is the `webhook-id` of every attempt."""

    model_config = ConfigDict(from_attributes=True, json_schema_extra={"example": WEBHOOK_EVENT})

    id: UUID
    job_id: UUID
    endpoint_id: UUID
    type: EventType
    state: EventState
    attempt: int = Field(description="Attempts that were begun since it happened, or since it was last redelivered by hand.")
    next_at: datetime = Field(description="While it is pending: when it is tried next.")
    created_at: datetime
    finished_at: datetime | None
    attempts: list[AttemptView] = []


class EventList(BaseModel):
    """The newest events first; `next_cursor` leads to older ones."""

    model_config = ConfigDict(json_schema_extra={"example": {"events": [WEBHOOK_EVENT], "next_cursor": None}})

    events: list[EventView]
    next_cursor: str | None


class EndpointView(BaseModel):
    """An address that events are sent to."""

    model_config = ConfigDict(from_attributes=True, json_schema_extra={"example": WEBHOOK_ENDPOINT})

    id: UUID
    url: str
    failing_since: datetime | None = Field(description="Since when every attempt at its host has failed.")
    disabled_at: datetime | None = Field(description="When it was switched off; nothing is sent to it since.")
    disabled_reason: str | None
    created_at: datetime


class EndpointList(BaseModel):
    """Endpoints, the oldest first; `next_cursor` leads to newer ones."""

    model_config = ConfigDict(json_schema_extra={"example": {"endpoints": [WEBHOOK_ENDPOINT], "next_cursor": None}})

    endpoints: list[EndpointView]
    next_cursor: str | None


class PageQuery(BaseModel):
    """Which page of a list."""

    model_config = ConfigDict(extra="forbid")

    limit: int = Field(100, ge=1, le=500)
    cursor: str | None = Field(None, description="`next_cursor` of the page before.")


@router.get(
    "/jobs/{job_id}/webhooks",
    summary="What was told of a job",
    responses=problems(NotFound, JobExpired, InvalidRequest, BadCursor),
)
def list_events(job_id: UUID, session: SessionDep, caller: CallerDep, query: Annotated[PageQuery, Query()]) -> EventList:
    """Every event with the log of its attempts."""
    found_job(session, job_id, caller)
    found = webhooks.list_newest_events(session, job_id, limit=query.limit + 1, before=parse_cursor(query.cursor))
    page, next_cursor = cut_page(found, query.limit)
    return EventList(events=_views(session, page), next_cursor=next_cursor)


def _views(session: Session, events: Sequence[WebhookEvent]) -> list[EventView]:
    views = {event.id: EventView.model_validate(event) for event in events}
    for attempt in webhooks.list_attempts(session, list(views)):
        views[attempt.event_id].attempts.append(AttemptView.model_validate(attempt))
    return list(views.values())


@router.post(
    "/webhooks/{event_id}/redeliver",
    status_code=HTTPStatus.ACCEPTED,
    summary="Tell an event again",
    responses=problems(NotFound, InvalidRequest, EndpointDisabled),
)
def redeliver_event(event_id: UUID, services: ServicesDep, caller: CallerDep) -> EventView:
    """Under its old id, at once, and with the whole schedule before it."""
    with services.database.transaction() as session:
        event = webhooks.get_event(session, event_id, owner_id=caller.owner_id)
        if event is None:
            raise NotFound(f"There is no event {event_id}.")
        webhooks.redeliver(session, event)
        return _views(session, [event])[0]


@router.get(
    "/webhooks/endpoints",
    summary="Addresses that events are sent to",
    responses=problems(InvalidRequest, BadCursor),
)
def list_endpoints(session: SessionDep, caller: CallerDep, query: Annotated[PageQuery, Query()]) -> EndpointList:
    """One for each URL that jobs were submitted with, as long as one of them is kept."""
    after = parse_cursor(query.cursor)
    found = endpoints.list_endpoints(session, owner_id=caller.owner_id, limit=query.limit + 1, after=after)
    page, next_cursor = cut_page(found, query.limit)
    return EndpointList(endpoints=[EndpointView.model_validate(endpoint) for endpoint in page], next_cursor=next_cursor)


@router.post(
    "/webhooks/endpoints/{endpoint_id}/enable",
    summary="Switch an endpoint on again",
    responses=problems(NotFound, InvalidRequest),
)
def enable_endpoint(endpoint_id: UUID, services: ServicesDep, caller: CallerDep) -> EndpointView:
    """After a 410, or days of failure, nothing is sent to it. What was given up meanwhile can be redelivered one by one."""
    with services.database.transaction() as session:
        endpoint = endpoints.get_endpoint(session, endpoint_id, owner_id=caller.owner_id)
        if endpoint is None:
            raise NotFound(f"There is no endpoint {endpoint_id}.")
        endpoints.enable(session, endpoint)
        return EndpointView.model_validate(endpoint)
