"""One run: start the product, load it, strike it again and again, let it finish, judge it."""

import itertools
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from store import faults
from tests.chaos.arena import Arena
from tests.chaos.kinds import KINDS, Kind
from tests.chaos.load import Load
from tests.chaos.log import Log
from tests.chaos.pace import Pace
from tests.chaos.pictures import Album
from tests.chaos.receiver import Receiver
from tests.chaos.recovery import seconds_until_recovered
from tests.chaos.stack import running_stack
from tests.chaos.verdict import Verdict, judge
from tests.chaos.wishes import Wish

_QUIET_SECONDS = 5.0
_LOADED_SHARE = 0.5  # of the time: faults hold much up, and shall strike a service that is busy
_ITEMS_AT_ONCE = 100  # a queue to wait in, before a fault is known to be over
_SMALL_JOB_ITEMS = 10
_SMALL_JOB_PAUSE_SECONDS = 0.7
_ACCEPTED_SECONDS = 60.0
_DISK_BYTES = 256 * 2**20
_SLOWNESS = ("always-1", "always-2", "always-3")


@dataclass(frozen=True, slots=True)
class Options:
    """What to run. Faults strike until there were `faults` of them, or `minutes` are over; items are submitted until both the
    faults are over and there were `items` of them, but no more than a minute longer. Items whose name matches `slow_items`
    take some seconds each. Who freezes at a point of its code does so with any item and wakes when others have taken over, or
    with one that matches `frozen_items` and wakes at once when its lease is over. `with_wishes`, some jobs are cancelled,
    tried again or left to expire.
    """

    items: int
    faults: int
    seed: int
    minutes: float
    pace: Pace
    kinds: Sequence[str] = tuple(KINDS)
    sabotage: str | None = None
    smallest_job: int = 1
    largest_job: int = 500
    slow_items: str | None = None
    with_wishes: bool = True
    frozen_items: str | None = None
    drain_seconds: float = 180.0
    keep_logs: Path | None = None


@dataclass(slots=True)
class Fault:
    """A fault that struck at `at` seconds of the run, and how long recovery took; None if it never came."""

    kind: str
    at: float
    recovered: float | None
    promise: float


@dataclass(slots=True)
class Outcome:
    """What a run found."""

    options: Options
    verdict: Verdict
    faults: list[Fault] = field(default_factory=list)
    seconds: float = 0.0
    answers: dict[str, Any] = field(default_factory=dict)

    @property
    def late(self) -> list[Fault]:
        """Faults whose recovery did not keep its promise."""
        return [fault for fault in self.faults if fault.recovered is None or fault.recovered > fault.promise]

    @property
    def is_complete(self) -> bool:
        """Whether there were as many items and faults as were asked for."""
        return self.verdict.items >= self.options.items and len(self.faults) >= self.options.faults

    @property
    def is_good(self) -> bool:
        """Nothing lost, doubled or wrong, every promise kept, and all that was asked for was done."""
        return self.verdict.is_good and not self.late and self.is_complete


def run(options: Options) -> Outcome:
    """Do it. Says on stdout what strikes."""
    with ExitStack() as context:
        home = Path(context.enter_context(tempfile.TemporaryDirectory(prefix="penpress-chaos-")))
        can_fill = context.enter_context(_small_disk(home / "blobs"))
        log = Log(home / "client.jsonl")
        context.callback(log.close)
        receiver = Receiver(log)
        context.callback(receiver.close)
        given = {"webhook_secret": receiver.secret}
        stack = context.enter_context(running_stack(home, options.pace, sabotage=options.sabotage, settings=given))
        if options.keep_logs:
            context.callback(_keep_logs, home, options.keep_logs)
        for label in _SLOWNESS if options.slow_items else ():
            faults.arm(stack.faults, "before_decode", "slow", label=label, item=options.slow_items or "")
        album = Album.of(stack.bundle, stack.settings)
        load = Load(
            *(stack.addresses.url, album, log),
            webhook_url=receiver.url,
            seed=options.seed,
            items_per_second=options.items / max(1.0, options.minutes * 60 * _LOADED_SHARE),
            items_at_once=_ITEMS_AT_ONCE,
            smallest_job=options.smallest_job,
            largest_job=options.largest_job,
            with_wishes=options.with_wishes,
        )
        chance = random.Random(options.seed)
        arena = Arena(stack, load, album, log, receiver, options.seed, chance, can_fill, options.frozen_items)
        return _run(arena, options)


def _run(arena: Arena, options: Options) -> Outcome:
    began = time.monotonic()
    outcome = Outcome(options, Verdict())
    arena.load.start()
    try:
        _strike_all(arena, options, outcome, began)
        while arena.load.begun_items < options.items and time.monotonic() - began < options.minutes * 60 + 60:
            time.sleep(0.1)
    finally:
        arena.load.stop()
    if arena.load.wait(options.drain_seconds):
        _wait_for_events(arena, options.drain_seconds)
    outcome.verdict = judge(arena.log, arena.album, arena.stack.addresses.url)
    outcome.answers = _answers(arena.log)
    outcome.seconds = time.monotonic() - began
    return outcome


def _wait_for_events(arena: Arena, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    forgotten = {entry["key"] for entry in arena.log.entries("submitted") if entry["wish"] == Wish.EXPIRE}
    jobs = [entry["job"] for entry in arena.log.entries("accepted") if entry["key"] not in forgotten]
    while not all(map(arena.receiver.was_told_of, jobs)) and time.monotonic() < deadline:
        time.sleep(0.1)


def _strike_all(arena: Arena, options: Options, outcome: Outcome, began: float) -> None:
    time.sleep(min(_QUIET_SECONDS, options.minutes * 6))
    deadline = began + options.minutes * 60
    for number, kind in enumerate(_schedule(arena, options)):
        if len(outcome.faults) >= options.faults or time.monotonic() > deadline:
            return
        fault = _strike(arena, kind, f"{options.seed}-after-{number}", began)
        if fault is None:
            _say(f"{time.monotonic() - began:7.1f} s  {number + 1:3}  {kind.name:22} was not reached")
            continue
        outcome.faults.append(fault)
        took = "never" if fault.recovered is None else f"{fault.recovered:.1f} s"
        _say(f"{fault.at:7.1f} s  {number + 1:3}  {kind.name:22} recovered {took}")


def _strike(arena: Arena, kind: Kind, key: str, began: float) -> Fault | None:
    time.sleep(arena.random_numbers.uniform(0.1, 0.8))
    held, at = arena.held(), time.monotonic()
    arena.log.note("fault", kind=kind.name)
    with _small_jobs(arena, key) as over:
        struck = kind.strike(arena)
        over.set()
        if struck is None:
            return None
        held |= arena.held()
        promise = kind.promise(arena.pace)
        recovered = seconds_until_recovered(arena, key, held, struck.since, promise=promise)
    struck.undo()
    arena.log.note("recovered", kind=kind.name, began=at, seconds=recovered)
    return Fault(kind.name, round(at - began, 2), recovered, promise)


@contextmanager
def _small_jobs(arena: Arena, key: str) -> Iterator[threading.Event]:
    """Somebody goes on submitting until the given event is set, however long the pauses of the load are."""
    over = threading.Event()

    def submit() -> None:
        for number in itertools.count():
            numbers = arena.album.pick(random.Random(f"{key} {number}"), _SMALL_JOB_ITEMS)
            arena.load.submit(f"{key}-{number}", numbers)
            if over.wait(_SMALL_JOB_PAUSE_SECONDS):
                return

    thread = threading.Thread(target=submit, daemon=True)
    thread.start()
    yield over
    thread.join(_ACCEPTED_SECONDS)


def _schedule(arena: Arena, options: Options) -> Iterator[Kind]:
    """Every kind equally often, in an order that the seed decides; without end."""
    kinds = [KINDS[name] for name in options.kinds if name != "disk_full" or arena.blobs_can_fill]
    while True:
        arena.random_numbers.shuffle(kinds)
        yield from kinds


def _answers(log: Log) -> dict[str, Any]:
    """How submissions were answered: seconds until 202, with no fault about and while Redis was at fault."""
    faults = [(fault["began"], fault["at"], fault["kind"]) for fault in log.entries("recovered")]
    accepted = [(entry["began"], entry["seconds"]) for entry in log.entries("accepted")]

    def during(prefix: str) -> list[float]:
        spans = [(first, last) for first, last, kind in faults if kind.startswith(prefix)]
        return [seconds for at, seconds in accepted if any(first <= at <= last for first, last in spans)]

    quiet = [seconds for at, seconds in accepted if not any(first <= at <= last for first, last, _ in faults)]
    refused: dict[str, int] = {}
    for entry in log.entries("refused"):
        name = f"{entry['status']} {entry['reason']}"
        refused[name] = refused.get(name, 0) + 1
    unanswered = sum(1 for _ in log.entries("unanswered"))
    return {"quiet": _spread(quiet), "redis": _spread(during("redis")), "refused": refused, "unanswered": unanswered}


def _spread(seconds: list[float]) -> dict[str, float]:
    ordered = sorted(seconds)
    return {"n": len(ordered)} | {f"p{share}": _quantile(ordered, share) for share in (50, 95, 99) if ordered}


def _quantile(ordered: list[float], percent: int) -> float:
    return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)]


@contextmanager
def _small_disk(folder: Path) -> Iterator[bool]:
    """A tmpfs of its own at `folder`; False where that is not allowed, and then the disk cannot be filled."""
    folder.mkdir(parents=True)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={_DISK_BYTES}", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        _say("no disk_full: mounting a tmpfs needs root")
        yield False
        return
    try:
        yield True
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def _keep_logs(home: Path, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(home / "client.jsonl", folder)
    shutil.copytree(home / "logs", folder, dirs_exist_ok=True)


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
