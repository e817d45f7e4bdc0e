import os
import subprocess
import sys
from itertools import pairwise

import pytest
from celery import Celery
from kombu import Connection
from kombu.utils import functional
from kombu.utils.imports import symbol_by_name

from store.queue import make_celery
from store.settings import Settings
from worker.consumer import PromptConsumer


@pytest.fixture
def celery() -> Celery:
    return make_celery(Settings(redis_url="redis://127.0.0.1:1/0"))


@pytest.fixture
def consumer(celery: Celery) -> PromptConsumer:
    """As much of one as connecting needs."""
    consumer = PromptConsumer.__new__(PromptConsumer)
    consumer.app = celery
    consumer.first_connection_attempt = False
    consumer.broker_connection_retry_attempt = 0
    return consumer


def test_a_broker_that_is_long_away_is_tried_every_two_seconds(
    consumer: PromptConsumer, celery: Celery, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept = 0.0
    tried_at: list[float] = []

    def sleep(seconds: float) -> None:
        nonlocal slept
        slept += seconds

    def connect(_: Connection) -> str:
        tried_at.append(slept)
        if slept < 600:
            raise ConnectionRefusedError
        return "connected"

    monkeypatch.setattr(functional, "sleep", sleep)
    monkeypatch.setattr(Connection, "_connection_factory", connect)
    consumer.ensure_connected(celery.connection_for_read())
    assert tried_at[-1] >= 600
    assert max(later - sooner for sooner, later in pairwise(tried_at)) <= 2


def test_workers_use_it() -> None:
    ask = "from worker.app import app; print(app.conf.worker_consumer)"
    environment = {**os.environ, "PENPRESS_REDIS_URL": "redis://127.0.0.1:1/0"}
    said = subprocess.run([sys.executable, "-c", ask], env=environment, capture_output=True, text=True, timeout=60, check=True)
    assert symbol_by_name(said.stdout.strip()) is PromptConsumer
