"""What the rules of the sweep have in common."""

import logging
import uuid
from collections.abc import Sequence
from datetime import timedelta

import psycopg
import pytest
from sqlalchemy import exc, func, text, update
from sqlalchemy.orm import Session

from store import sweep as store_sweep
from store.database import Database
from store.models import Chunk
from store.settings import Settings
from store.states import ChunkState
from tests.store.rows import chunks_of, claim, make_running_job
from worker.housekeeping import Sweep
from worker.rules import make_rules
from worker.rules.expired_leases import recover_expired_chunks
from worker.rules.rule import Rule, Tools, one_by_one

IDS = [uuid.uuid4() for _ in range(3)]
RECOVERING = {
    *("expired_leases", "half_planned_jobs", "unclosed_jobs", "overdue_jobs", "unsettled_jobs", "expired_deliveries"),
    *("unsent_plans", "unsent_chunks"),
}
PURGING = {"expired_jobs", "expired_singles", "outdated_idempotency_keys", "orphaned_blobs"}


@pytest.fixture
def tools(settings: Settings, database: Database) -> Tools:
    return Tools(settings, database, None)  # type: ignore[arg-type]  # it sends nothing


def find(_session: Session, *, limit: int) -> Sequence[uuid.UUID]:
    return IDS[:limit]


def failing_at_first(error: Exception, mended: list[uuid.UUID]) -> object:
    def mend(session: Session, identifier: uuid.UUID) -> None:
        if identifier == IDS[0]:
            raise error
        mended.append(identifier)

    return mend


@pytest.mark.parametrize(
    "error",
    [
        OverflowError("date value out of range"),
        exc.DataError("", None, psycopg.DataError()),
        exc.OperationalError("", None, psycopg.errors.DeadlockDetected()),
        exc.OperationalError("", None, psycopg.errors.ProgramLimitExceeded()),
    ],
)
def test_a_row_that_cannot_be_put_right_is_logged_and_keeps_no_other(
    tools: Tools, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    mended: list[uuid.UUID] = []
    assert one_by_one(tools, find, failing_at_first(error, mended)) == 2  # type: ignore[arg-type]  # it is a function
    assert mended == IDS[1:]
    [record] = [record for record in caplog.records if str(IDS[0]) in record.getMessage()]
    assert record.levelno == logging.ERROR
    assert record.exc_info


def test_what_was_written_for_such_a_row_is_undone(tools: Tools, database: Database) -> None:
    def count_and_fail(session: Session, identifier: uuid.UUID) -> None:
        store_sweep.count(session, str(identifier), 1)
        if identifier == IDS[0]:
            raise ZeroDivisionError

    assert one_by_one(tools, find, count_and_fail) == 2
    with database.transaction() as session:
        assert set(store_sweep.counts(session)) == {str(identifier) for identifier in IDS[1:]}


@pytest.mark.parametrize(
    "error",
    [
        exc.OperationalError("", None, psycopg.OperationalError("server closed the connection")),
        exc.OperationalError("", None, psycopg.errors.AdminShutdown()),
        exc.InterfaceError("", None, psycopg.InterfaceError("the connection is closed")),
        exc.TimeoutError("QueuePool limit reached"),
    ],
)
def test_a_connection_that_failed_ends_the_round(tools: Tools, error: Exception) -> None:
    mended: list[uuid.UUID] = []
    with pytest.raises(type(error)):
        one_by_one(tools, find, failing_at_first(error, mended))  # type: ignore[arg-type]  # it is a function
    assert mended == []


def test_a_lost_chunk_that_cannot_be_given_up_keeps_no_other_tenants_from_being_recovered(
    tools: Tools, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    with database.transaction() as session:
        endless, other = make_running_job(session), make_running_job(session)
        endless.retention_seconds = 10**15  # accepted by a version that knew no limit; no date is so far away
        [first], [second] = chunks_of(session, endless), chunks_of(session, other)
        for place, chunk in enumerate((first, second)):
            claimed = claim(session, chunk.id)
            past = func.now() - timedelta(hours=2 - place)
            lost = claimed.token if chunk is first else None  # its last chance is over
            attempt = tools.settings.max_attempts if chunk is first else 1
            session.execute(
                update(Chunk).where(Chunk.id == chunk.id).values(lease_until=past, lost_token=lost, attempt=attempt)
            )
    assert recover_expired_chunks(tools) == 1
    assert f"{first.id} could not be put right" in caplog.text
    with database.transaction() as session:
        assert [chunk.state for chunk in chunks_of(session, other)] == [ChunkState.READY]


def test_rules_that_recover_come_before_those_that_only_make_room() -> None:
    names = [known.name for known in make_rules()]
    assert set(names) == RECOVERING | PURGING
    assert max(map(names.index, RECOVERING)) < min(map(names.index, PURGING))


def test_a_sweep_that_has_lost_its_lock_applies_no_other_rule(tools: Tools, settings: Settings, database: Database) -> None:
    applied: list[str] = []

    def lose_lock(_: Tools) -> int:
        applied.append("first")
        holder = "SELECT pg_terminate_backend(pid, 5000) FROM pg_locks WHERE locktype = 'advisory'"
        with database.transaction() as session:
            session.execute(text(holder))
        return 0

    def note(_: Tools) -> int:
        applied.append("second")
        return 0

    sweep = Sweep(settings, database, tools.queue, [Rule("first", lose_lock), Rule("second", note)])
    with pytest.raises(exc.SQLAlchemyError):
        sweep.run_once()
    assert applied == ["first"]
