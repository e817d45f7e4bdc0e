"""A Postgres that is frozen, not gone: whoever asks is answered in time, and all is well as soon as it goes on."""

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psutil
import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from api.app import create_app
from store.database import Database
from store.settings import Settings
from tests.service_fixtures import local_client, wait_for_model, wait_until_ready

PATIENCE = 0.3
CONNECTING = 2.0


@contextmanager
def frozen(home: Path) -> Iterator[None]:
    """The server of that home and all of its backends, stopped for the length of the block."""
    leader = psutil.Process(int((home / "postgres" / "postmaster.pid").read_text().splitlines()[0]))
    family = [leader, *leader.children(recursive=True)]
    for process in family:
        process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        for process in family:
            process.send_signal(signal.SIGCONT)


def ping_in_vain(database: Database) -> None:
    with pytest.raises(OperationalError):
        database.ping()


@pytest.fixture
def impatient(database_url: str, database: Database) -> Iterator[Database]:
    impatient = Database(database_url, patience_seconds=PATIENCE)
    impatient.ping()
    yield impatient
    impatient.close()


def test_a_statement_that_takes_too_long_is_given_up_with_its_connection(impatient: Database) -> None:
    with pytest.raises(OperationalError) as raised, impatient.transaction() as session:
        session.execute(text("SELECT pg_sleep(60)"))
    assert raised.value.connection_invalidated
    with impatient.transaction() as session:
        assert session.scalar(text("SELECT 1")) == 1


def test_a_transaction_that_postgres_gave_up_because_it_idled_fails_like_any_lost_connection(impatient: Database) -> None:
    def idle() -> None:
        with impatient.transaction() as session:
            session.execute(text("SET LOCAL idle_in_transaction_session_timeout = '20ms'"))
            time.sleep(0.3)
            session.execute(text("SELECT 1"))

    with pytest.raises(OperationalError) as raised:
        idle()
    assert raised.value.connection_invalidated
    impatient.ping()


def test_a_commit_that_nobody_confirms_leaves_the_result_unknown(impatient: Database, services_home: Path) -> None:
    def write(ice: ExitStack) -> None:
        with impatient.transaction() as session:
            session.execute(text("SELECT 1"))
            ice.enter_context(frozen(services_home))

    with ExitStack() as ice, pytest.raises(OperationalError) as raised:
        write(ice)
    assert raised.value.connection_invalidated


def test_what_takes_its_time_is_waited_for_in_the_background(database_url: str, database: Database) -> None:
    patient = Database(database_url)
    with patient.transaction() as session:
        session.execute(text(f"SELECT pg_sleep({2 * PATIENCE})"))
    patient.close()


def test_while_one_finds_out_whether_it_is_back_the_others_are_refused_at_once(
    impatient: Database, services_home: Path
) -> None:
    with frozen(services_home):
        ping_in_vain(impatient)
        scout = threading.Thread(target=ping_in_vain, args=[impatient])
        scout.start()
        time.sleep(0.1)
        started = time.monotonic()
        for _ in range(100):
            with pytest.raises(OperationalError, match="does not answer"):
                impatient.ping()
        assert time.monotonic() - started < 1
        scout.join()
    impatient.ping()
    impatient.ping()


def test_a_frozen_postgres_hangs_no_request(settings: Settings, database: Database, services_home: Path) -> None:
    app = create_app(settings.model_copy(update={"database_seconds": PATIENCE}))
    with local_client(app, raise_server_exceptions=False) as client:
        wait_for_model(client)
        assert client.get("/jobs").status_code == 200
        with frozen(services_home):
            started = time.monotonic()
            answers = [client.get("/jobs"), client.get("/readyz")]
            assert time.monotonic() - started < 2 * (PATIENCE + CONNECTING) + 1
            assert [answer.status_code for answer in answers] == [503, 503]
            assert answers[0].json()["reason"] == "database_unavailable"
            assert int(answers[0].headers["retry-after"]) > 0
            assert client.get("/health").status_code == 200
        wait_until_ready(client)  # the probe that was under way finds out that Postgres is back
        assert client.get("/jobs").status_code == 200
