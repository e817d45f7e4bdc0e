"""Bodies that hardly come are refused, at a pace that is told; slow is not what the service itself makes slow."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient
from starlette.types import Message

from api.app import create_app
from api.pace import PaceBodies
from api.refusals import BodyTooSlow
from store.database import Database
from store.settings import Settings
from tests.api.test_bodies import FORM, HEAD, ZIP, carried, stored_blobs
from tests.service_fixtures import local_client, wait_for_model

GRACE = 0.2


@pytest.fixture
def hasty(settings: Settings, database: Database) -> Iterator[TestClient]:
    pace = {"min_body_bytes_per_second": 100_000, "body_grace_seconds": GRACE}
    with local_client(create_app(settings.model_copy(update=pace)), raise_server_exceptions=False) as client:
        wait_for_model(client)
        yield client


@pytest.mark.parametrize(("path", "headers"), [("/jobs", ZIP), ("/jobs", FORM), ("/predict/", FORM)])
def test_a_body_that_stands_still_is_a_408_and_the_connection_ends(
    hasty: TestClient, settings: Settings, path: str, headers: dict[str, str]
) -> None:
    async def body() -> AsyncIterator[dict[str, Any]]:
        yield {"type": "http.request", "body": HEAD, "more_body": True}
        await asyncio.sleep(60)
        yield {"type": "http.request", "body": b"", "more_body": False}

    start, answer = carried(hasty, path, headers, body())
    assert start["status"] == 408
    assert (b"connection", b"close") in start["headers"]
    assert b'"reason":"body_too_slow"' in answer["body"]
    assert b'"key":"min_body_bytes_per_second","value":100000' in answer["body"]
    assert stored_blobs(settings) == []


async def receive_all(pieces: AsyncIterator[Message], *, work_seconds: float = 0.0) -> int:
    """How many bytes an application gets that takes so long over each piece."""
    received = 0

    async def app(_scope: Any, receive: Any, _send: Any) -> None:
        nonlocal received
        more = True
        while more:
            message = await receive()
            received += len(message["body"])
            more = message["more_body"]
            await asyncio.sleep(work_seconds)

    async def nowhere(_message: Message) -> None:
        pass

    paced = PaceBodies(app, min_bytes_per_second=10_000, grace_seconds=GRACE)
    await paced({"type": "http"}, lambda: anext(pieces), nowhere)
    return received


async def pieces(count: int, size: int, pause_seconds: float) -> AsyncIterator[Message]:
    for number in range(count):
        await asyncio.sleep(pause_seconds)
        yield {"type": "http.request", "body": bytes(size), "more_body": number < count - 1}


def test_a_body_at_the_demanded_rate_is_taken_whatever_its_pauses() -> None:
    assert asyncio.run(receive_all(pieces(5, 2000, GRACE / 2))) == 10_000


def test_drops_now_and_then_do_not_count_as_a_pace() -> None:
    with pytest.raises(BodyTooSlow, match="10000 bytes per second"):
        asyncio.run(receive_all(pieces(100, 1, 0.02)))


def test_the_time_that_the_service_takes_is_not_the_clients() -> None:
    assert asyncio.run(receive_all(pieces(4, 1, 0.0), work_seconds=GRACE)) == 4
