import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from onnxruntime import get_available_providers

from inference.classifier import DeviceUnavailable, OutOfMemory
from store.settings import Settings
from worker import preflight, tasks
from worker.marks import Mark
from worker.preflight import refuse_if_unfit
from worker.runtime import Runtime

needs_no_gpu = pytest.mark.skipif("CUDAExecutionProvider" in get_available_providers(), reason="onnxruntime knows CUDA here")


def test_a_worker_that_has_all_it_needs_starts(settings: Settings) -> None:
    refuse_if_unfit(settings)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"database_url": None}, "PENPRESS_DATABASE_URL is not set"),
        ({"blobs_url": "nothing://bucket"}, "The blob store nothing:// cannot be used"),
        pytest.param({"device": "cuda"}, "A GPU was asked for", marks=needs_no_gpu),
    ],
)
def test_a_worker_that_lacks_something_refuses_in_one_sentence(
    settings: Settings, change: dict[str, object], sentence: str
) -> None:
    with pytest.raises(SystemExit, match=f"^The worker does not start: {sentence}"):
        refuse_if_unfit(settings.model_copy(update=change))


@needs_no_gpu
def test_celery_exits_before_it_takes_a_message(settings: Settings) -> None:
    environment = os.environ | {
        "PENPRESS_HOME": str(settings.home),
        "PENPRESS_DATABASE_URL": str(settings.database_url),
        "PENPRESS_REDIS_URL": str(settings.redis_url),
        "PENPRESS_DEVICE": "cuda",
    }
    command = [sys.executable, "-m", "celery", "-A", "worker.app", "worker", "--concurrency", "1", "--queues", "none"]
    worker = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert worker.returncode == 1
    assert "The worker does not start: A GPU was asked for, but onnxruntime cannot use one here." in worker.stderr


class Ended(BaseException):
    """In the place of the end of this process."""


@pytest.fixture
def ends(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """The signals that were sent."""
    sent: list[tuple[int, int]] = []

    def end(_: int) -> None:
        raise Ended

    monkeypatch.setattr(preflight.os, "kill", lambda *arguments: sent.append(arguments))
    monkeypatch.setattr(preflight.os, "_exit", end)
    return sent


def test_a_process_whose_runtime_cannot_be_opened_ends_its_worker(
    ends: list[tuple[int, int]], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise PermissionError("the models' folder")

    monkeypatch.setattr(tasks, "open_runtime", fail)
    with pytest.raises(Ended):
        tasks.open_runtime_or_end(Settings())
    assert ends == [(os.getppid(), signal.SIGQUIT)]
    assert "PermissionError: the models' folder" in caplog.text


def test_a_gpu_that_is_listed_but_cannot_be_used_ends_the_worker(
    runtime: Runtime, ends: list[tuple[int, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise DeviceUnavailable

    monkeypatch.setattr(tasks, "_runtime", runtime)
    monkeypatch.setattr(tasks, "classify_chunk", fail)
    with pytest.raises(Ended):
        tasks._classify_chunk("0190f6a0-0000-7000-8000-000000000000")
    assert len(ends) == 1


def test_a_process_that_is_short_of_memory_gives_its_chunk_back_and_ends(
    runtime: Runtime, ends: list[tuple[int, int]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Somebody must be there to start another; by hand the error is passed on."""

    def fail(*_: object) -> None:
        raise OutOfMemory

    monkeypatch.setattr(tasks, "_runtime", runtime)
    monkeypatch.setattr(tasks, "classify_chunk", fail)
    with pytest.raises(OutOfMemory):
        tasks._classify_chunk("0190f6a0-0000-7000-8000-000000000000")
    object.__setattr__(runtime, "mark", Mark.open(tmp_path))
    with pytest.raises(Ended):
        tasks._classify_chunk("0190f6a0-0000-7000-8000-000000000000")
    assert ends == []  # the worker goes on


def test_a_process_without_a_runtime_says_no_more_than_that(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "_runtime", None)
    with pytest.raises(RuntimeError, match="was not called in it, or did not succeed"):
        tasks._opened()
