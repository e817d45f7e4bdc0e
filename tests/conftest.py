"""Real services for the tests: one Postgres and one Redis for the session, a migrated database, a predictable model."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from celery import Celery
from sqlalchemy import text
from sqlalchemy.orm import Session

from inference.bundle import load_bundle
from inference.classifier import Classifier
from penpress.embedded import embedded_postgres, embedded_redis
from registry.catalog import Catalog
from registry.promotion import promote
from store.database import Database
from store.models import Job
from store.queue import make_celery
from store.settings import Settings
from tests.tiny_bundle import write_tiny_bundle

pytest_plugins = ["tests.service_fixtures"]

_TABLES = ", ".join(Job.metadata.tables)


def pytest_configure() -> None:
    """A developer's own settings must not reach the tests."""
    for name in [name for name in os.environ if name.startswith(("PENPRESS_", "MLFLOW_")) and name != "PENPRESS_TEST_DATA"]:
        del os.environ[name]


@pytest.fixture(scope="session")
def services_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="session")
def database_url(services_home: Path) -> Iterator[str]:
    """A migrated Postgres."""
    from migrations import upgrade

    with embedded_postgres(services_home) as url:
        upgrade(url)
        yield url


@pytest.fixture(scope="session")
def redis_url(services_home: Path) -> Iterator[str]:
    with embedded_redis(services_home) as url:
        yield url


@pytest.fixture(scope="session")
def session_database(database_url: str) -> Iterator[Database]:
    database = Database(database_url)
    yield database
    database.close()


@pytest.fixture
def database(session_database: Database) -> Iterator[Database]:
    """For tests that commit for real; emptied after each."""
    yield session_database
    with session_database.transaction() as session:
        session.execute(text(f"TRUNCATE {_TABLES} CASCADE"))


@pytest.fixture
def session(session_database: Database) -> Iterator[Session]:
    """A session whose test is rolled back."""
    with session_database.engine.connect() as connection, connection.begin() as outer:
        with Session(connection, expire_on_commit=False, join_transaction_mode="create_savepoint") as session:
            yield session
        outer.rollback()


@pytest.fixture(scope="session")
def tiny_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_bundle(tmp_path_factory.mktemp("bundle"))


@pytest.fixture(scope="session")
def tiny_classifier(tiny_bundle: Path) -> Classifier:
    return Classifier(load_bundle(tiny_bundle))


@pytest.fixture(scope="session")
def tracking_uri(tmp_path_factory: pytest.TempPathFactory, tiny_bundle: Path) -> str:
    """An MLflow registry whose `prod` is the tiny model."""
    uri = f"sqlite:///{tmp_path_factory.mktemp('mlflow') / 'mlflow.db'}"
    catalog = Catalog(uri)
    promote(catalog, catalog.register_bundle(tiny_bundle, parameters={}, tags={}).number)
    return uri


@pytest.fixture
def settings(tmp_path: Path, database_url: str, redis_url: str, tracking_uri: str, services_home: Path) -> Settings:
    """Settings over the real services, with a home of the test's own; models are cached once."""
    return make_settings(tmp_path, database_url=database_url, redis_url=redis_url, tracking_uri=tracking_uri)


@pytest.fixture
def celery(redis_url: str) -> Iterator[Celery]:
    """Celery over a Redis that holds nothing."""
    app = make_celery(Settings(redis_url=redis_url))
    with app.connection_for_write() as connection:
        connection.default_channel.client.flushall()
    yield app
    app.close()


def make_settings(home: Path, *, database_url: str, redis_url: str, tracking_uri: str, **changes: object) -> Settings:
    """Settings as if they had come from the environment."""
    values: dict[str, object] = {
        "home": home,
        "database_url": database_url,
        "redis_url": redis_url,
        "MLFLOW_TRACKING_URI": tracking_uri,
        "model_poll_seconds": 0.2,
    }
    return Settings.model_validate(values | changes)
