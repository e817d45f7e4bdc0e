import base64
import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select, update
from standardwebhooks import Webhook

from store import faults, webhooks
from store.database import Database
from store.models import Job, WebhookAttempt, WebhookEvent, WebhookHost
from store.settings import Settings
from store.states import EventState, JobState
from tests.pictures import png
from tests.store.rows import make_event, make_told_job
from tests.worker.conftest import HandQueue
from tests.worker.looks import wait_until
from tests.worker.receiver import Receiver, answering, hanging, receiving
from worker.deliver import Deliverer
from worker.housekeeping import Sweep
from worker.send import Sender

SECRET = "whsec_" + base64.b64encode(b"a" * 24).decode()
HERE = {
    "webhook_secret": SECRET,
    "webhook_http_allowed": True,
    "webhook_networks": "127.0.0.0/8",
    "webhook_poll_seconds": 0.02,
}

MakeDeliverer = Callable[..., Deliverer]


@pytest.fixture
def make_deliverer(settings: Settings, database: Database) -> Iterator[MakeDeliverer]:
    made: list[Deliverer] = []

    def make_deliverer(**changes: object) -> Deliverer:
        changed = settings.model_copy(update=HERE | changes)
        made.append(Deliverer(changed, database, Sender.from_settings(changed)))
        return made[-1]

    yield make_deliverer
    for deliverer in made:
        deliverer.close()


@contextmanager
def running(deliverer: Deliverer) -> Iterator[None]:
    stopped = threading.Event()
    thread = threading.Thread(target=deliverer.run, args=(stopped,))
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join()


def add_events(database: Database, url: str, count: int = 1) -> None:
    with database.transaction() as session:
        for _ in range(count):
            make_event(session, url=url)


def states(database: Database) -> list[EventState]:
    with database.transaction() as session:
        return list(session.scalars(select(WebhookEvent.state).order_by(WebhookEvent.id)))


def attempts(database: Database) -> list[tuple[int | None, str | None]]:
    with database.transaction() as session:
        query = select(WebhookAttempt.status, WebhookAttempt.error).order_by(WebhookAttempt.id)
        return [(status, error) for status, error in session.execute(query)]


def test_a_finished_jobs_event_arrives_signed_once(
    make_deliverer: MakeDeliverer, database: Database, submit: Callable[..., uuid.UUID], carry: Callable[[uuid.UUID], None]
) -> None:
    job_id = submit({"a.png": png(), "b.png": png()})
    with receiving() as receiver:
        with database.transaction() as session:
            job = session.get_one(Job, job_id)
            webhooks.subscribe(session, job, url=receiver.url(), events=webhooks.DEFAULT_EVENTS)
        carry(job_id)
        with running(make_deliverer()):
            wait_until(lambda: states(database) == [EventState.DELIVERED])
    (body,), (headers,) = receiver.bodies, receiver.headers
    told = Webhook(SECRET).verify(body, headers)
    assert (told["type"], told["data"]["id"], told["data"]["counts"]["succeeded"]) == ("job.completed", str(job_id), 2)
    assert len(body) < 20_000
    assert attempts(database) == [(204, None)]


def test_a_failure_is_logged_and_tried_again(make_deliverer: MakeDeliverer, database: Database) -> None:
    with receiving(answering(500)) as receiver, running(make_deliverer()):
        add_events(database, receiver.url())
        wait_until(lambda: attempts(database) == [(500, "It answered 500.")])
        with database.transaction() as session:
            session.execute(update(WebhookEvent).values(next_at=func.now()))
        wait_until(lambda: len(attempts(database)) == 2)
    assert receiver.ids[0] == receiver.ids[1]
    assert receiver.headers[0]["webhook-timestamp"] <= receiver.headers[1]["webhook-timestamp"]


def test_a_private_address_is_an_attempt_that_failed(make_deliverer: MakeDeliverer, database: Database) -> None:
    with receiving() as receiver, running(make_deliverer(webhook_networks=None)):
        add_events(database, receiver.url())
        wait_until(lambda: len(attempts(database)) == 1)
    assert receiver.connections == 0
    assert "not public" in str(attempts(database)[0][1])


def test_without_a_secret_nothing_is_sent(make_deliverer: MakeDeliverer, database: Database) -> None:
    with receiving() as receiver, running(make_deliverer(webhook_secret=None)):
        add_events(database, receiver.url())
        wait_until(lambda: len(attempts(database)) == 1)
    assert receiver.connections == 0
    assert "PENPRESS_WEBHOOK_SECRET" in str(attempts(database)[0][1])


def latency(database: Database, url: str, times: list[float]) -> float:
    """Seconds from the event's commit to the request."""
    count = len(times)
    add_events(database, url)
    started = time.monotonic()
    wait_until(lambda: len(times) > count)
    return times[-1] - started


@contextmanager
def dead_receiver() -> Iterator[Receiver]:
    """One that takes connections and answers nothing until the block is over."""
    released = threading.Event()
    with receiving(hanging(released)) as receiver:
        yield receiver
        released.set()


def test_a_receiver_that_hangs_slows_no_other(make_deliverer: MakeDeliverer, database: Database) -> None:
    with receiving() as good, running(make_deliverer(webhook_slots=4)), dead_receiver() as dead:
        add_events(database, dead.url(), count=20)
        wait_until(lambda: dead.connections == 2)
        seconds = [latency(database, good.url(), good.times) for _ in range(5)]
        assert dead.connections == 2  # all of it while the first two were waited for
    assert max(seconds) < 10  # and here a hundredth of it, unless the machine is busy


def test_a_receiver_that_hangs_slows_no_other_where_each_job_has_its_address(
    make_deliverer: MakeDeliverer, database: Database
) -> None:
    with receiving() as good, running(make_deliverer(webhook_slots=4)), dead_receiver() as dead:
        for number in range(20):
            add_events(database, f"{dead.url()}?{number}")
        wait_until(lambda: dead.connections == 2)
        assert latency(database, good.url(), good.times) < 10
        assert dead.connections == 2


def test_many_dead_receivers_leave_half_of_the_slots(make_deliverer: MakeDeliverer, database: Database) -> None:
    with receiving() as good, ExitStack() as stack:
        dead = [stack.enter_context(dead_receiver()) for _ in range(4)]
        for receiver in dead:
            add_events(database, receiver.url())
        with database.transaction() as session:
            session.execute(update(WebhookHost).values(failing_since=func.now()))
        deliverer = make_deliverer(webhook_slots=4)
        assert deliverer.run_once() == 2
        add_events(database, good.url(), count=3)
        assert deliverer.run_once() == 2
        wait_until(lambda: len(good.times) == 2)
        wait_until(lambda: deliverer.run_once() == 1)
        wait_until(lambda: len(good.times) == 3)
        assert sum(receiver.connections for receiver in dead) == 2


@pytest.fixture
def start(settings: Settings, tmp_path: Path) -> Callable[[], subprocess.Popen[bytes]]:
    """Start a deliverer's process; faults are armed in `tmp_path / "faults"`."""
    given = HERE | {"home": tmp_path, "database_url": settings.database_url}
    environment = os.environ | {f"PENPRESS_{name.upper()}": str(value) for name, value in given.items()}
    environment["PENPRESS_FAULTS"] = str(tmp_path / "faults")
    return lambda: subprocess.Popen([sys.executable, "-m", "worker.deliver"], env=environment)


def test_a_deliverer_killed_after_the_receivers_2xx_tells_it_again_under_the_same_id(
    start: Callable[[], subprocess.Popen[bytes]], settings: Settings, database: Database, tmp_path: Path
) -> None:
    faults.arm(tmp_path / "faults", "after_2xx_before_mark", "kill")
    with receiving() as receiver:
        add_events(database, receiver.url(), count=6)
        assert start().wait(timeout=60) == -signal.SIGKILL
        told = list(receiver.ids)
        assert told
        with database.transaction() as session:
            past = func.now() - timedelta(seconds=1)
            session.execute(update(WebhookEvent).where(WebhookEvent.lease_token.is_not(None)).values(lease_until=past))
        Sweep(settings, database, HandQueue()).run_once()  # type: ignore[arg-type]  # stands in for a Queue
        second = start()
        wait_until(lambda: set(states(database)) == {EventState.DELIVERED}, seconds=60)
        second.terminate()
        assert second.wait(timeout=30) == 0
    with database.transaction() as session:
        finished = session.scalars(select(Job.id).where(Job.state == JobState.FAILED)).all()
    assert len(receiver.ids) > len(set(receiver.ids)) == len(finished) == 6
    jobs_told = {Webhook(SECRET).verify(*sent)["data"]["id"] for sent in zip(receiver.bodies, receiver.headers, strict=True)}
    assert jobs_told == {str(job_id) for job_id in finished}


def test_an_event_of_a_job_that_goes_on_is_not_told(make_deliverer: MakeDeliverer, database: Database) -> None:
    with receiving() as receiver:
        with database.transaction() as session:
            make_told_job(session, url=receiver.url())
        assert make_deliverer().run_once() == 0
    assert receiver.connections == 0
