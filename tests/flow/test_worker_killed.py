"""`penpress up`, and the worker's whole process group killed in mid-job: every item still has exactly one row."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.pictures import DARK, LIGHT, png, zip_of

ITEMS = 400
QUICK_RECOVERY = {
    "PENPRESS_LEASE_SECONDS": "4",
    "PENPRESS_HEARTBEAT_SECONDS": "1",
    "PENPRESS_SWEEP_SECONDS": "1",
    "PENPRESS_HINT_SECONDS": "2",
    "PENPRESS_CHUNK_ITEMS": "8",
}
DEADLINE_SECONDS = 120

pytestmark = pytest.mark.flow


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """A service on an empty home; its state file says where it answers and what runs."""
    command = [sys.executable, "-m", "penpress", "up", "--port", "0"]
    process = subprocess.Popen(command, env={**os.environ, **QUICK_RECOVERY, "PENPRESS_HOME": str(tmp_path)})
    try:
        wait_for(lambda: is_ready(tmp_path))
        yield tmp_path
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=60)


def wait_for(condition: Any) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.1)


def state(home: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((home / "up.json").read_text())
    return loaded


def is_ready(home: Path) -> bool:
    try:
        return httpx.get(f"{state(home)['url']}/readyz").status_code == httpx.codes.OK
    except (OSError, ValueError, httpx.HTTPError):
        return False


def worker_pid(home: Path) -> int:
    return next(int(process["pid"]) for process in state(home)["processes"] if process["name"] == "worker")


def test_a_killed_worker_costs_time_and_nothing_else(home: Path) -> None:
    images = {f"{number:03d}.png": png(DARK if number % 2 else LIGHT, size=(800, 200)) for number in range(ITEMS)}
    with httpx.Client(base_url=state(home)["url"], timeout=60) as client:
        headers = {"Content-Type": "application/zip"}
        job = client.post("/jobs", content=zip_of(images), headers=headers).raise_for_status().json()

        def counts() -> dict[str, int]:
            return client.get(job["links"]["self"]).json()["counts"]  # type: ignore[no-any-return]  # JSON

        wait_for(lambda: counts()["processed"] >= ITEMS // 10)
        killed = worker_pid(home)
        os.killpg(killed, signal.SIGKILL)
        assert counts()["processed"] < ITEMS, "the job was done before the worker was killed"
        wait_for(lambda: client.get(job["links"]["self"]).json()["state"] == "completed")
        assert worker_pid(home) != killed

        lines = client.get(job["links"]["results_ndjson"]).text.splitlines()
        assert sorted(json.loads(line)["file"] for line in lines) == sorted(images)
        assert counts()["succeeded"] == counts()["total"] == ITEMS
