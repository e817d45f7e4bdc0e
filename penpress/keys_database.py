"""Where `penpress keys` finds the keys: in the database of the settings, or of the `up` on this home, running or not."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import OperationalError, ProgrammingError
from sqlalchemy.orm import Session

from penpress.embedded_postgres import postgres_service
from penpress.errors import KeyRefused, ServiceFailed
from penpress.service import running
from penpress.state import only_one, running_state
from store import keys
from store.database import Database
from store.keys import KeyFault
from store.settings import Settings


@contextmanager
def keys_session(settings: Settings) -> Iterator[Session]:
    """A transaction on the database with the keys. Raises `KeyRefused` or `ServiceFailed`; then nothing is changed."""
    try:
        with _database_url(settings) as url, _opened(url) as database, database.transaction() as session:
            yield session
    except KeyFault as error:
        raise KeyRefused(str(error)) from error
    except ProgrammingError as error:
        raise ServiceFailed("The database has no tables for keys yet; `python -m migrations` makes them.") from error
    except OperationalError as error:
        raise ServiceFailed(f"The database does not answer: {str(error.orig).strip()}") from error


def has_keys(database_url: str) -> bool:
    """Whether there is any key in that database. Raises SQLAlchemy's errors."""
    with _opened(database_url) as database, database.statement() as connection:
        return keys.has_keys(connection)


@contextmanager
def _database_url(settings: Settings) -> Iterator[str]:
    state = running_state(settings.home_dir)
    if settings.database_url or state:
        yield settings.database_url or str(state and state.database_url)
        return
    with only_one(settings.home_dir), running(postgres_service(settings.home_dir)) as url:
        from migrations import upgrade

        upgrade(url)
        yield url


@contextmanager
def _opened(url: str) -> Iterator[Database]:
    database = Database(url)
    try:
        yield database
    finally:
        database.close()
