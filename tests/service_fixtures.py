"""The service in process, over real Postgres, Redis and MLflow; beside it a worker whose messages are carried by hand."""

import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from api.app import create_app
from store.database import Database
from store.models import Chunk
from store.settings import Settings
from tests.pictures import png
from worker.classify import classify_chunk
from worker.plan import plan_job
from worker.runtime import Runtime


def local_client(app: FastAPI, **options: Any) -> TestClient:
    """A client on this machine, the only one that a service without keys answers."""
    return TestClient(app, base_url="http://127.0.0.1", client=("127.0.0.1", 50000), **options)


@pytest.fixture
def client(settings: Settings, database: Database) -> Iterator[TestClient]:
    with local_client(create_app(settings), raise_server_exceptions=False) as client:
        wait_for_model(client)
        yield client


def wait_for_model(client: TestClient) -> None:
    """The model is loaded beside the start, not before it."""
    while client.get("/health").json()["model_status"] != "loaded":
        time.sleep(0.02)


def wait_until_ready(client: TestClient, *, status: int = 200) -> None:
    """What `/readyz` says may be a little old."""
    deadline = time.monotonic() + 30
    while client.get("/readyz").status_code != status:
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture
def work(settings: Settings, database: Database) -> Iterator[Callable[[str], None]]:
    """Do a job's work: plan it, classify its chunks."""
    runtime = Runtime.from_settings(settings)

    def work(job_id: str) -> None:
        plan_job(runtime, uuid.UUID(job_id))
        with database.transaction() as session:
            chunk_ids = [chunk.id for chunk in session.query(Chunk).filter_by(job_id=uuid.UUID(job_id))]
        for chunk_id in chunk_ids:
            classify_chunk(runtime, chunk_id)

    yield work
    runtime.close()


@pytest.fixture
def finished(client: TestClient, work: Callable[[str], None]) -> Callable[..., dict[str, Any]]:
    """Submit files as a form, do the work, give the finished job."""

    def finished(files: dict[str, bytes], **options: str) -> dict[str, Any]:
        parts = [("files", (name, data)) for name, data in files.items()]
        submitted = client.post("/jobs", files=parts, params=options)
        assert submitted.status_code == 202, submitted.text
        work(submitted.json()["id"])
        return client.get(submitted.json()["links"]["self"]).json()

    return finished


@pytest.fixture
def predicted(client: TestClient) -> dict[str, Any]:
    """An image that was classified at once."""
    return client.post("/predict/", files={"file": ("letter.png", png())}).json()
