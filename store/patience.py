"""How long Postgres is waited for. A server that has stopped, or a network that swallows everything, answers nothing, and
without a limit of the client's own whoever asks waits for ever: `statement_timeout` is kept by the side that is silent.

Once Postgres has let somebody wait in vain, one caller at a time finds out whether it is back; the others are refused at once,
so that a service whose every thread would wait for it can still answer.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg.pq import TransactionStatus
from sqlalchemy import Engine, ExceptionContext, event
from sqlalchemy.exc import OperationalError

_CONNECT_SECONDS = (2, 5)  # libpq takes no fewer
_WAIT_INTERVAL_SECONDS = 0.1
_IDLE_IN_TRANSACTION_SECONDS = 10
_IDLE_TIMEOUT = "idle_in_transaction_session_timeout"


class Patience:
    """Whether Postgres is silent; shared by every connection of one pool."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._is_silent = False
        self._scout = threading.Lock()

    def note_silence(self) -> None:
        """Somebody waited in vain."""
        self._is_silent = True

    def note_answer(self) -> None:
        """Somebody was answered."""
        self._is_silent = False

    @contextmanager
    def admitted(self) -> Iterator[None]:
        """Let the block talk to Postgres. While another finds out if it is back, raises SQLAlchemy's `OperationalError`."""
        if not self._is_silent:
            yield
            return
        if not self._scout.acquire(blocking=False):
            raise OperationalError("", None, psycopg.OperationalError("Postgres does not answer"))
        try:
            yield
        finally:
            self._scout.release()


class _PatientConnection(psycopg.Connection[Any]):
    """A connection that is given up when a statement, or its result, takes longer than its patience lasts."""

    patience: Patience

    def wait(self, gen: Any, interval: float = _WAIT_INTERVAL_SECONDS, timeout: float | None = None) -> Any:
        try:
            answer = super().wait(gen, interval, self.patience.seconds if timeout is None else timeout)
        except psycopg.errors.IdleInTransactionSessionTimeout as error:
            # The connection is lost as any other, but psycopg calls it an error of the database's inside.
            raise psycopg.OperationalError(str(error)) from error
        except psycopg.OperationalError:
            # With the answer still to come nobody could tell later ones from it; closed, it is thrown away.
            if self.pgconn.transaction_status == TransactionStatus.ACTIVE:
                self.patience.note_silence()
                self.close()
            raise
        self.patience.note_answer()
        return answer


def be_patient(engine: Engine, patience: Patience) -> None:
    """Have `engine` make connections whose waiting `patience` limits, and say alike of all that were lost that they were."""

    @event.listens_for(engine, "do_connect")
    def connect(_dialect: Any, _record: Any, arguments: list[Any], options: dict[str, Any]) -> Any:
        try:
            connection = _PatientConnection.connect(*arguments, **options)
        except psycopg.errors.ConnectionTimeout:
            patience.note_silence()
            raise
        connection.patience = patience
        if _IDLE_TIMEOUT not in options.get("options", ""):
            _limit_idling(connection)
        return connection

    @event.listens_for(engine, "handle_error")
    def tell_alike(context: ExceptionContext) -> None:
        # That Postgres gave up who idled in a transaction is an `InternalError`, as is what was asked in a wrong way.
        if isinstance(context.original_exception, psycopg.errors.IdleInTransactionSessionTimeout):
            raise OperationalError(context.statement, None, context.original_exception, hide_parameters=True)


def _limit_idling(connection: _PatientConnection) -> None:
    """Have Postgres give us up: a process that froze in mid-transaction holds locks that others, and the sweep, wait for.

    A statement, since a pooler such as PgBouncer refuses options that are given at the start.
    """
    connection.autocommit = True
    connection.execute(f"SET {_IDLE_TIMEOUT} = '{_IDLE_IN_TRANSACTION_SECONDS}s'")
    connection.autocommit = False


def connection_options(seconds: float) -> dict[str, Any]:
    """For libpq: give up a peer that answers no connecting, or whose machine has gone (without effect on a unix socket)."""
    return {
        "connect_timeout": min(max(_CONNECT_SECONDS[0], round(seconds)), _CONNECT_SECONDS[1]),
        "keepalives_idle": 30,
        "keepalives_interval": 10,
        "keepalives_count": 3,
        "tcp_user_timeout": round(seconds * 1000),
    }
