"""Postgres and Redis for one machine with nothing else installed, for the length of a `with` block."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from penpress.embedded_postgres import postgres_service
from penpress.embedded_redis import redis_service
from penpress.service import running

__all__ = ["embedded_postgres", "embedded_redis"]


@contextmanager
def embedded_postgres(home: Path) -> Iterator[str]:
    """A PostgreSQL with its data in `home`/postgres; gives its SQLAlchemy URL. Raises a `PenpressError`."""
    with running(postgres_service(home)) as url:
        yield url


@contextmanager
def embedded_redis(home: Path) -> Iterator[str]:
    """An empty Redis; gives its URL for Celery. For redis-py, replace `redis+socket://` by `unix://`."""
    with running(redis_service(home)) as url:
        yield url
