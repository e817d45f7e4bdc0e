"""The connection to Postgres, and the one way to a transaction."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.orm import Session, sessionmaker

from store.patience import Patience, be_patient, connection_options
from store.settings import Settings

_IDLE_SECONDS = 1.0
# Of what nobody waits for; the longest statements, such as deleting 10,000 rows, take a fraction of it.
_PATIENCE_SECONDS = 120.0


class DatabaseNotConfigured(Exception):
    """PENPRESS_DATABASE_URL is not set; start everything with `penpress up`, or name a Postgres."""


class Database:
    """A pool of connections. Make it after a fork, never before."""

    def __init__(self, url: str, *, pool_size: int = 5, patience_seconds: float = _PATIENCE_SECONDS) -> None:
        """A statement that takes longer than `patience_seconds` fails, and its connection is given up."""
        self._patience = Patience(patience_seconds)
        self.engine = create_engine(
            url,
            hide_parameters=True,  # what clients sent, and secrets, would otherwise stand in logged errors
            pool_size=pool_size,
            max_overflow=pool_size,
            pool_use_lifo=True,  # the backend that was used last still has all at hand
            pool_timeout=patience_seconds,
            connect_args={**connection_options(patience_seconds), "application_name": "penpress"},
        )
        be_patient(self.engine, self._patience)
        _ping_after_idling(self.engine)
        self._sessions = sessionmaker(self.engine, expire_on_commit=False)
        self._autocommitting = self.engine.execution_options(isolation_level="AUTOCOMMIT")
        self._single_statements = sessionmaker(self._autocommitting)

    @classmethod
    def from_settings(
        cls, settings: Settings, *, pool_size: int = 5, patience_seconds: float = _PATIENCE_SECONDS
    ) -> "Database":
        """Raises `DatabaseNotConfigured`."""
        if not settings.database_url:
            raise DatabaseNotConfigured(DatabaseNotConfigured.__doc__)
        return cls(settings.database_url, pool_size=pool_size, patience_seconds=patience_seconds)

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        """A session that commits at the end of the block and rolls back when it raises."""
        with self._patience.admitted(), self._sessions.begin() as session:
            yield session

    @contextmanager
    def single_statement(self) -> Iterator[Session]:
        """A session for one statement, which is a transaction of its own: one trip to Postgres instead of three."""
        with self._patience.admitted(), self._single_statements() as session:
            yield session

    @contextmanager
    def statement(self) -> Iterator[Connection]:
        """The same for a statement about columns, not objects, which a session would only make slower."""
        with self._patience.admitted(), self._autocommitting.connect() as connection:
            yield connection

    def ping(self) -> None:
        """Raises SQLAlchemy's error when Postgres does not answer, or has not been migrated yet."""
        with self._patience.admitted(), self.engine.connect() as connection:
            connection.execute(text("SELECT 1 FROM alembic_version"))

    def close(self) -> None:
        """Give back every connection."""
        self.engine.dispose()


def _ping_after_idling(engine: Engine) -> None:
    """Try a connection that has idled before it is used, so that a restarted Postgres is noticed; others are not."""

    @event.listens_for(engine, "checkin")
    def note_use(_connection: Any, record: Any) -> None:
        record.info["used_at"] = time.monotonic()

    @event.listens_for(engine, "checkout")
    def ping(connection: Any, record: Any, _proxy: Any) -> None:
        if time.monotonic() - record.info.get("used_at", time.monotonic()) < _IDLE_SECONDS:
            return
        try:
            engine.dialect.do_ping(connection)
        except engine.dialect.loaded_dbapi.Error as error:
            raise DisconnectionError from error
