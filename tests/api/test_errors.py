from fastapi import FastAPI, HTTPException
from fastapi.testclient import TestClient

from api.errors import install_error_handlers
from api.refusals import QueueFull
from store.idempotency import KeyLost


def answer_to(error: Exception, cause: Exception | None = None) -> tuple[int, str, str | None]:
    """Status, reason and `Retry-After`."""
    app = FastAPI()
    install_error_handlers(app)

    @app.get("/")
    def fail() -> None:
        raise error from cause

    answer = TestClient(app).get("/")
    return answer.status_code, answer.json()["reason"], answer.headers.get("retry-after")


def test_a_refusal_that_was_wrapped_keeps_its_headers() -> None:
    assert answer_to(HTTPException(400, "parsing failed"), QueueFull()) == (503, "queue_full", "30")


def test_who_lost_its_idempotency_key_learns_when_to_come_again() -> None:
    assert answer_to(KeyLost()) == (409, "idempotency_key_in_use", "2")
