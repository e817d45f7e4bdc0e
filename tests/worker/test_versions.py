"""A job keeps the version that it was planned with, whatever becomes of `prod` meanwhile."""

import json
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest

from registry.catalog import Catalog
from store.database import Database
from store.states import JobState
from tests.pictures import png
from tests.tiny_bundle import write_tiny_bundle
from tests.worker.conftest import HandQueue, MakeRuntime
from tests.worker.looks import read_job, read_rows
from worker.classify import classify_chunk
from worker.plan import plan_job
from worker.runtime import Runtime

Submit = Callable[..., uuid.UUID]
Release = Callable[..., str]


@pytest.fixture
def tracking_uri(tmp_path: Path) -> str:
    """A registry of the test's own, whose `prod` may move."""
    return f"sqlite:///{tmp_path / 'registry' / 'mlflow.db'}"


@pytest.fixture
def release(tracking_uri: str, tmp_path: Path) -> Release:
    """Register a bundle and point `prod` to it; with changes to its manifest that nobody notices before it is loaded."""

    def release(name: str, **changes: object) -> str:
        folder = write_tiny_bundle(tmp_path / name, name=name)
        path = folder / "bundle.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))
        catalog = Catalog(tracking_uri)
        number = catalog.register_bundle(folder, parameters={}, tags={}).number
        catalog.set_alias("prod", number)
        return number

    return release


@pytest.fixture
def runtime(release: Release, make_runtime: MakeRuntime) -> Runtime:
    """A worker that has loaded version 1, and looks at the alias for each job."""
    release("first")
    made = make_runtime(model_poll_seconds=0.001)
    made.models.warm_up()
    made.models.catch_up()
    return made


def finish(runtime: Runtime, queue: HandQueue) -> None:
    while queue.chunks:
        classify_chunk(runtime, queue.chunks.pop(0))


def versions(database: Database, job_id: uuid.UUID) -> list[str | None]:
    return [row.model_version for row in read_rows(database, job_id)]


def test_a_job_keeps_its_version_when_prod_moves_in_mid_job(
    runtime: Runtime, submit: Submit, hand_queue: HandQueue, release: Release, database: Database
) -> None:
    old = submit({f"{name}.png": png() for name in "abcd"})
    plan_job(runtime, old)
    classify_chunk(runtime, hand_queue.chunks.pop(0))
    release("second")
    new = submit({"a.png": png()})
    plan_job(runtime, new)
    finish(runtime, hand_queue)
    assert versions(database, old) == ["1"] * 4
    assert versions(database, new) == ["2"]
    assert (read_job(database, old).model_version, read_job(database, new).model_version) == ("1", "2")


def test_a_bad_version_in_prod_touches_no_job(
    runtime: Runtime,
    submit: Submit,
    hand_queue: HandQueue,
    release: Release,
    database: Database,
    caplog: pytest.LogCaptureFixture,
) -> None:
    before = submit({"a.png": png()})
    plan_job(runtime, before)
    release("bad", labels=["blank", "text"])
    after = submit({"a.png": png()})
    plan_job(runtime, after)
    finish(runtime, hand_queue)
    for job_id in (before, after):
        job = read_job(database, job_id)
        assert (job.state, job.model_version, job.detail) == (JobState.COMPLETED, "1", None)
        assert versions(database, job_id) == ["1"]
    assert "WrongLabels: Version 2 answers blank or text; this service keeps handwritten or printed." in caplog.text


def test_a_worker_that_starts_while_prod_is_bad_plans_with_the_old_version(
    runtime: Runtime, submit: Submit, hand_queue: HandQueue, release: Release, database: Database, make_runtime: MakeRuntime
) -> None:
    release("bad", labels=["blank", "text"])
    runtime.models.catch_up()  # the bad version is noted on this machine
    started = make_runtime()
    started.models.warm_up()
    job_id = submit({"a.png": png()})
    plan_job(started, job_id)
    finish(started, hand_queue)
    assert versions(database, job_id) == ["1"]


def test_a_worker_that_has_no_model_yet_lets_the_job_wait_and_says_for_what(
    make_runtime: MakeRuntime, submit: Submit, release: Release, database: Database
) -> None:
    release("bad", labels=["blank", "text"])
    job_id = submit({"a.png": png()})
    with pytest.raises(Exception, match="answers blank or text"):
        plan_job(make_runtime(model_poll_seconds=0.001), job_id)
    job = read_job(database, job_id)
    assert (job.state, job.attempt) == (JobState.QUEUED, 0)
    assert job.detail == "Version 2 answers blank or text; this service keeps handwritten or printed."
