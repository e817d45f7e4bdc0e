"""Faults from outside, by signals to the product's processes."""

import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress

import psutil

from tests.chaos.arena import Arena, Struck
from tests.chaos.stack import WORKERS

_POLL_SECONDS = 0.05


def send(number: signal.Signals, pids: list[int]) -> None:
    """To those that still are there."""
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def kill(name: str, number: signal.Signals = signal.SIGKILL) -> Callable[[Arena], Struck]:
    """End one program; what looks after it starts it again. Its children are left to themselves."""

    def strike(arena: Arena) -> Struck:
        send(number, [arena.stack.pid(name)])
        return Struck(time.monotonic())

    return strike


def end_at_last(name: str) -> Callable[[Arena], Struck]:
    """SIGTERM to one program, and SIGKILL if it has not ended after a while, as orchestrators do.

    Postgres waits for its clients to leave, takes no new ones, and serves the old ones as before.
    """

    def strike(arena: Arena) -> Struck:
        pid = arena.stack.pid(name)
        send(signal.SIGTERM, [pid])
        deadline = time.monotonic() + arena.pace.freeze
        while psutil.pid_exists(pid) and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)
        send(signal.SIGKILL, [pid])
        return Struck(time.monotonic())

    return strike


def keep_down(name: str) -> Callable[[Arena], Struck]:
    """Kill one program and keep it away for a while; recovery counts from its return."""

    def strike(arena: Arena) -> Struck:
        arena.stack.hold_down(name)
        send(signal.SIGKILL, [arena.stack.pid(name)])
        time.sleep(arena.pace.freeze)
        arena.stack.hold_down(name, held=False)
        return Struck(time.monotonic())

    return strike


def freeze(name: str) -> Callable[[Arena], Struck]:
    """Stop one program with all its processes for a while; recovery counts from the end of that."""

    def strike(arena: Arena) -> Struck:
        pids = [arena.stack.pid(name), *arena.stack.children(name)]
        send(signal.SIGSTOP, pids)
        time.sleep(arena.pace.freeze)
        send(signal.SIGCONT, pids)
        return Struck(time.monotonic())

    return strike


def end_worker(number: signal.Signals) -> Callable[[Arena], Struck]:
    """A signal to one worker's parent process."""

    def strike(arena: Arena) -> Struck:
        name = arena.random_numbers.choice(WORKERS)
        arena.wait_for_work()
        send(number, [arena.stack.pid(name)])
        return Struck(time.monotonic())

    return strike


def kill_worker_group(arena: Arena) -> Struck:
    """A whole host goes: the parent and its children at once."""
    name = arena.random_numbers.choice(WORKERS)
    arena.wait_for_work()
    send(signal.SIGKILL, [arena.stack.pid(name), *arena.stack.children(name)])
    return Struck(time.monotonic())


def end_child(number: signal.Signals) -> Callable[[Arena], Struck]:
    """A signal to one process of a worker's pool."""

    def strike(arena: Arena) -> Struck:
        arena.wait_for_work()
        send(number, _a_child(arena))
        return Struck(time.monotonic())

    return strike


def freeze_child(arena: Arena) -> Struck:
    """Stop one pool process for longer than its lease. Its chunk is another's long before it wakes with a token that has gone
    stale, so recovery counts from the beginning.
    """
    arena.wait_for_work()
    return _freeze_until_recovered(arena, _a_child(arena))


def freeze_worker(arena: Arena) -> Struck:
    """Stop one worker, parent and children, for longer than its leases; as with a single process."""
    name = arena.random_numbers.choice(WORKERS)
    arena.wait_for_work()
    return _freeze_until_recovered(arena, [arena.stack.pid(name), *arena.stack.children(name)])


def _freeze_until_recovered(arena: Arena, pids: list[int]) -> Struck:
    send(signal.SIGSTOP, pids)
    since = time.monotonic()

    def wake() -> None:
        time.sleep(max(0.0, since + arena.pace.freeze - time.monotonic()))
        send(signal.SIGCONT, pids)

    return Struck(since, wake)


def _a_child(arena: Arena) -> list[int]:
    children = [pid for name in WORKERS for pid in arena.stack.children(name)]
    return [arena.random_numbers.choice(children)] if children else []
