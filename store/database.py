"""The connection to Postgres, and the one way to a transaction."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import create_engine, text
from sqlalchemy.orm import Session, sessionmaker

from store.settings import Settings


class DatabaseNotConfigured(Exception):
    """PENPRESS_DATABASE_URL is not set; start everything with `penpress up`, or name a Postgres."""


class Database:
    """A pool of connections. Make it after a fork, never before."""

    def __init__(self, url: str, *, pool_size: int = 5) -> None:
        self.engine = create_engine(
            url,
            pool_size=pool_size,
            max_overflow=pool_size,
            pool_pre_ping=True,
            connect_args={"connect_timeout": 5, "application_name": "penpress"},
        )
        self._sessions = sessionmaker(self.engine, expire_on_commit=False)

    @classmethod
    def from_settings(cls, settings: Settings, *, pool_size: int = 5) -> "Database":
        """Raises `DatabaseNotConfigured`."""
        if not settings.database_url:
            raise DatabaseNotConfigured(DatabaseNotConfigured.__doc__)
        return cls(settings.database_url, pool_size=pool_size)

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        """A session that commits at the end of the block and rolls back when it raises."""
        with self._sessions.begin() as session:
            yield session

    def ping(self) -> None:
        """Raises SQLAlchemy's error when Postgres does not answer, or has not been migrated yet."""
        with self.engine.connect() as connection:
            connection.execute(text("SELECT 1 FROM alembic_version"))

    def close(self) -> None:
        """Give back every connection."""
        self.engine.dispose()
