"""A service of our own for the length of a benchmark: `penpress up` on an empty home and a free port."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

_START_SECONDS = 120


@dataclass(frozen=True, slots=True)
class RunningService:
    """Where the service answers, how long it took until it was ready, which bundle it serves, its processes by name, its home,
    and the settings with which another process joins it.
    """

    url: str
    start_seconds: float
    bundle: Path
    pids: dict[str, int]
    home: Path
    environment: dict[str, str]

    @property
    def tracking_uri(self) -> str:
        """Its model registry."""
        return self.environment["MLFLOW_TRACKING_URI"]


@contextmanager
def running_service() -> Iterator[RunningService]:
    """Start, wait until ready, stop."""
    with tempfile.TemporaryDirectory(prefix="penpress-bench-") as folder:
        home = Path(folder)
        process = subprocess.Popen(
            [sys.executable, "-m", "penpress", "up", "--port", "0"],
            env={**os.environ, "PENPRESS_HOME": str(home)},
            stdout=subprocess.DEVNULL,
        )
        try:
            started = time.perf_counter()
            url = _wait_until_ready(process, home)
            seconds = time.perf_counter() - started
            version = httpx.get(f"{url}/health").json()["model_version"]
            state = json.loads((home / "up.json").read_text())
            pids = {each["name"]: each["pid"] for each in state["processes"]}
            yield RunningService(url, seconds, _bundle(home, version), pids, home, _environment(home, state))
        finally:
            process.terminate()
            process.wait()


def _wait_until_ready(process: subprocess.Popen[bytes], home: Path) -> str:
    deadline = time.monotonic() + _START_SECONDS
    state = home / "up.json"
    while time.monotonic() < deadline and process.poll() is None:
        try:
            url = str(json.loads(state.read_text())["url"])
            if httpx.get(f"{url}/readyz").status_code == httpx.codes.OK:
                return url
        except (OSError, ValueError, KeyError, httpx.HTTPError):
            pass
        time.sleep(0.05)
    raise SystemExit("The service did not become ready.")


def _environment(home: Path, state: dict[str, Any]) -> dict[str, str]:
    return {
        "PENPRESS_HOME": str(home),
        "PENPRESS_DATABASE_URL": state["database_url"],
        "PENPRESS_REDIS_URL": state["redis_url"],
        "MLFLOW_TRACKING_URI": f"sqlite:///{home / 'mlflow.db'}",
    }


def _bundle(home: Path, version: str) -> Path:
    """The folder that the service itself loaded the model from."""
    found = [path.parent for path in (home / "models").rglob("bundle.json") if version in path.parts[-2]]
    if not found:
        raise SystemExit(f"The service's model {version} is not in its cache.")
    return found[0]
