"""`python -m benchmarks.recovery`: kill the worker's whole process group in mid-job, then count the rows of every item."""

import argparse
import json
import os
import signal
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

from benchmarks.images import read_images, zipped
from benchmarks.service import RunningService, running_service

_POLL_SECONDS = 0.2
_KILL_AFTER = 0.3


def main() -> None:
    """Run the job, kill once, wait until it is done, and print what became of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="folder with lines/test; else the samples")
    parser.add_argument("--images", type=int, default=2000)
    options = parser.parse_args()
    archive = zipped(read_images(options.data / "lines/test", options.images))
    with running_service() as service, httpx.Client(base_url=service.url, timeout=600) as client:
        job = client.post("/jobs", content=archive, headers={"Content-Type": "application/zip"}).json()["links"]
        _wait(client, job["self"], lambda seen: seen["counts"]["processed"] > _KILL_AFTER * options.images)
        killed = _kill_worker(service)
        finished = _wait(client, job["self"], lambda seen: seen["state"] in ("completed", "failed"))
        print(f"{finished['state']} {time.monotonic() - killed:.0f} s after the kill; counts {finished['counts']}")
        rows = [json.loads(line) for line in client.get(job["results_ndjson"]).text.splitlines()]
    _report(Counter((row["file"], row["page"]) for row in rows), options.images)


def _wait(client: httpx.Client, url: str, condition: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    while not condition(seen := client.get(url).json()):
        time.sleep(_POLL_SECONDS)
    return dict(seen)


def _kill_worker(service: RunningService) -> float:
    os.killpg(service.pids["worker"], signal.SIGKILL)
    return time.monotonic()


def _report(rows: Counter[tuple[str, int]], expected: int) -> None:
    twice = sum(count > 1 for count in rows.values())
    print(f"of {expected} items {expected - len(rows)} have no row and {twice} have more than one")
    if len(rows) != expected or twice:
        raise SystemExit("Items were lost or doubled.")


if __name__ == "__main__":
    main()
