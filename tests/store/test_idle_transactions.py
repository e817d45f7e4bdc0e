"""A process that freezes in mid-transaction holds locks; Postgres must not keep them for it."""

import contextlib

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from store.database import Database
from store.locks import try_sweep_lock

_TIMEOUT = text("SHOW idle_in_transaction_session_timeout")
_LOCK = text("SELECT pg_advisory_xact_lock(4711)")


def freeze_with_lock(database: Database) -> None:
    """Take a lock, and come back to the transaction when another has got it."""
    with database.transaction() as frozen:
        assert frozen.scalar(_TIMEOUT) == "10s"
        frozen.execute(text("SET LOCAL idle_in_transaction_session_timeout = '50ms'"))
        frozen.execute(_LOCK)
        with database.transaction() as session:
            session.execute(_LOCK)
        frozen.execute(text("SELECT 1"))


def test_a_transaction_that_idles_is_ended_and_its_locks_are_free(database: Database) -> None:
    """Whoever wakes up finds what a lost connection is to everybody: the worker gives its work back, the API answers 503."""
    with pytest.raises(OperationalError, match="idle-in-transaction timeout"):
        freeze_with_lock(database)
    database.ping()  # on another connection


def test_a_sweep_may_take_longer(session: Session) -> None:
    assert try_sweep_lock(session)
    assert session.scalar(_TIMEOUT) == "1min"


def test_it_is_no_option_given_at_the_start_where_an_operator_may_have_others(database_url: str) -> None:
    """PgBouncer refuses every option that it was not told to ignore."""
    database = Database(f"{database_url}&options=-c%20statement_timeout%3D12345")
    with contextlib.closing(database), database.transaction() as session:
        assert session.scalar(text("SHOW statement_timeout")) == "12345ms"
        assert session.scalar(_TIMEOUT) == "10s"
        source = text("SELECT source FROM pg_settings WHERE name = 'idle_in_transaction_session_timeout'")
        assert session.scalar(source) == "session"


def test_an_operators_own_limit_holds(database_url: str) -> None:
    database = Database(f"{database_url}&options=-c%20idle_in_transaction_session_timeout%3D20s")
    with contextlib.closing(database), database.transaction() as session:
        assert session.scalar(_TIMEOUT) == "20s"
