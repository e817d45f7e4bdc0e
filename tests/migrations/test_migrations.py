import os
import subprocess
import sys
import uuid
from collections.abc import Iterator

import pytest
from alembic import command
from sqlalchemy import create_engine, inspect, make_url, text
from sqlalchemy.pool import NullPool

from migrations import __main__ as program
from migrations import alembic_config, upgrade
from store.models import Job


@pytest.fixture
def empty_url(database_url: str) -> Iterator[str]:
    """A database of the test's own on the test server."""
    name = f"migrations_{uuid.uuid4().hex}"
    server = create_engine(database_url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    with server.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    yield make_url(database_url).set(database=name).render_as_string(hide_password=False)
    with server.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))


def tables(url: str) -> set[str]:
    return set(inspect(create_engine(url, poolclass=NullPool)).get_table_names())


def revision(url: str) -> list[str]:
    with create_engine(url, poolclass=NullPool).connect() as connection:
        return list(connection.scalars(text("SELECT version_num FROM alembic_version")))


def test_the_migrated_schema_is_the_one_that_the_models_describe(empty_url: str) -> None:
    upgrade(empty_url)
    assert tables(empty_url) == {*Job.metadata.tables, "alembic_version"}
    command.check(alembic_config(empty_url))  # raises when a revision is missing


def test_the_schema_goes_down_and_up_again(empty_url: str) -> None:
    upgrade(empty_url)
    newest = revision(empty_url)
    command.downgrade(alembic_config(empty_url), "base")
    assert tables(empty_url) == {"alembic_version"}
    upgrade(empty_url)
    assert revision(empty_url) == newest


def test_upgrading_twice_is_upgrading_once(empty_url: str) -> None:
    upgrade(empty_url)
    upgrade(empty_url)
    assert len(revision(empty_url)) == 1


def test_two_processes_may_upgrade_at_once(empty_url: str) -> None:
    environment = os.environ | {"PENPRESS_DATABASE_URL": empty_url}
    program = [sys.executable, "-m", "migrations"]
    upgrades = [subprocess.Popen(program, env=environment, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    assert [(process.communicate(timeout=60)[1], process.returncode) for process in upgrades] == [("", 0), ("", 0)]
    assert len(revision(empty_url)) == 1


def test_the_program_says_what_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PENPRESS_DATABASE_URL", raising=False)
    with pytest.raises(SystemExit, match="PENPRESS_DATABASE_URL is not set"):
        program.main()


def test_a_job_that_waits_keeps_the_threshold_that_was_asked_for_and_a_planned_one_asks_for_none(empty_url: str) -> None:
    columns = "id, name, state, gradcam, total, succeeded, failed, skipped, handwritten, printed, needs_review, attempt"
    row = (
        "INSERT INTO jobs ({}, review_threshold, model_version) VALUES (gen_random_uuid(), :n, 'queued', 'review', {}, 0.8, :v)"
    )
    command.upgrade(alembic_config(empty_url), "0001")
    with create_engine(empty_url, poolclass=NullPool).begin() as connection:
        insert = text(row.format(columns, ", ".join(["0"] * 8)))
        connection.execute(insert, [{"n": "waits", "v": None}, {"n": "planned", "v": "7"}])
    upgrade(empty_url)
    with create_engine(empty_url, poolclass=NullPool).connect() as connection:
        assert dict(connection.execute(text("SELECT name, asked_threshold FROM jobs")).all()) == {"waits": 0.8, "planned": None}
