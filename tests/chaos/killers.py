"""Items that kill whoever decodes them, among a thousand innocent ones: each fails alone, with the reason that fits.

The stack is the whole product with its default leases; what an item does to its process is armed at `before_decode`.
"""

import json
import random
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx

from store import faults
from tests.chaos.load import Load
from tests.chaos.log import Log
from tests.chaos.pace import DEFAULT
from tests.chaos.pictures import Album, Answer, as_answer, name_of
from tests.chaos.receiver import Receiver
from tests.chaos.stack import Stack, running_stack
from tests.chaos.verdict import judge

ITEMS = 1000
KILLERS = {
    "segfault": "reads what is not its own (SIGSEGV)",
    "abort": "is aborted by a library (SIGABRT)",
    "kill": "is killed (SIGKILL)",
    "exit": "ends its process with code 3",
    "system_exit": "raises `SystemExit`",
    "exception": "raises what nobody foresaw",
    "memory": "takes memory without end",
    "hang": "never ends",
    "hang_in_c": "never ends and lets no other thread run",
}
_REASONS = {"memory": "not_enough_memory"}
_TIMES = {"segfault": 2}  # ten killers in all, one in a hundred
_SETTINGS = {"page_seconds": 5.0, "worker_memory_bytes": 1024**3}
_KEY = "killers"
_END_SECONDS = 400.0
_POLL_SECONDS = 0.1


def run_killers(seed: int, *, items: int = ITEMS) -> dict[str, Any]:
    """Submit one job of `items`, a few of which kill; what is found, for a file."""
    began = time.monotonic()
    with _service() as (stack, log, receiver):
        album, numbers, places = _with_killers(Album.of(stack.bundle, stack.settings), random.Random(seed), items)
        for place, kind in places.items():
            faults.arm(stack.faults, "before_decode", kind, label=f"always-{place}", item=name_of(place))
        job_id = _submit(stack, log, receiver, album, numbers)
        verdict = judge(log, album, stack.addresses.url)
        rows = _rows(stack, job_id)
    innocent = {name_of(place) for place, number in enumerate(numbers) if album.answers[number]["status"] == "succeeded"}
    killing = {name_of(place): kind for place, kind in places.items()}
    return {
        "seed": seed,
        "seconds": round(time.monotonic() - began),
        "killers": [{"kind": killing[row["file"]], "told": row["detail"]} for row in rows if row["file"] in killing],
        "failed_innocents": sum(row["status"] == "failed" and row["file"] in innocent for row in rows),
        "verdict": verdict.as_json(),
        "is_good": verdict.is_good and verdict.items == items,
    }


@contextmanager
def _service() -> Iterator[tuple[Stack, Log, Receiver]]:
    with ExitStack() as context:
        home = Path(context.enter_context(tempfile.TemporaryDirectory(prefix="penpress-killers-")))
        log = Log(home / "client.jsonl")
        context.callback(log.close)
        receiver = Receiver(log)
        context.callback(receiver.close)
        given = _SETTINGS | {"webhook_secret": receiver.secret}
        yield context.enter_context(running_stack(home, DEFAULT, settings=given)), log, receiver


def _with_killers(album: Album, chance: random.Random, items: int) -> tuple[Album, list[int], dict[int, str]]:
    """The album with a picture more for each kind, a job's numbers, and place → kind of its killers."""
    kinds, first = list(KILLERS), len(album.files)
    pictures = tuple(album.files[album.small[0]] for _ in kinds)
    answers = tuple(_failure(_REASONS.get(kind, "worker_lost")) for kind in kinds)
    wanted = [kind for kind in kinds for _ in range(_TIMES.get(kind, 1))]
    places = dict(zip(chance.sample(range(items), len(wanted)), wanted, strict=True))
    numbers = album.pick(chance, items)
    for place, kind in places.items():
        numbers[place] = first + kinds.index(kind)
    return replace(album, files=album.files + pictures, answers=album.answers + answers), numbers, places


def _failure(reason: str) -> Answer:
    return as_answer({"status": "failed", "reason": reason, "predicted_class": None, "confidence": None, "needs_review": False})


def _submit(stack: Stack, log: Log, receiver: Receiver, album: Album, numbers: list[int]) -> str:
    """The job's id, when it has ended and its webhook has come, or when they should have."""
    no_more = {"items_per_second": 0.0, "items_at_once": 0, "smallest_job": 1, "largest_job": 1}
    load = Load(stack.addresses.url, album, log, webhook_url=receiver.url, seed=0, **no_more)  # type: ignore[arg-type]
    load.start_asking()
    job_id = load.submit(_KEY, numbers)
    assert job_id  # nobody gives up
    deadline = time.monotonic() + _END_SECONDS
    load.wait(_END_SECONDS)
    while not receiver.was_told_of(job_id) and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)
    return job_id


def _rows(stack: Stack, job_id: str) -> list[dict[str, Any]]:
    answer = httpx.get(f"{stack.addresses.url}/jobs/{job_id}/results", params={"format": "ndjson"})
    return [json.loads(row) for row in answer.raise_for_status().text.splitlines()]
