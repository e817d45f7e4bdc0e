"""Outages of Redis and Postgres: how each begins, and how it ends. They are made on the stack that the chaos runs use."""

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import redis
from redis.exceptions import RedisError
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from tests.chaos.proxy import Proxy
from tests.chaos.signals import send
from tests.chaos.stack import Stack

Outage = Callable[[Stack], AbstractContextManager[None]]
"""The service is out for the length of the block; it is back, and answers, when the block has ended."""

_AGAIN_SECONDS = 0.1
_TERMINATE_SECONDS = 1.0
_TERMINATE = text(
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'penpress' AND pid <> pg_backend_pid()"
)


def killed(service: str) -> Outage:
    """Killed by SIGKILL, and not started again before the end."""
    return _down(service, signal.SIGKILL)


def restarted(service: str) -> Outage:
    """Stopped as by its administrator, and not started again before the end."""
    return _down(service, signal.SIGINT)


def _down(service: str, number: signal.Signals) -> Outage:
    @contextmanager
    def outage(stack: Stack) -> Iterator[None]:
        stack.hold_down(service)
        send(number, [stack.pid(service)])
        yield
        stack.hold_down(service, held=False)
        _wait_for(stack, service)

    return outage


def frozen(service: str) -> Outage:
    """Every process of it is stopped; its connections stay open, and new ones are taken by the kernel."""

    @contextmanager
    def outage(stack: Stack) -> Iterator[None]:
        pids = [stack.pid(service), *stack.children(service)]
        send(signal.SIGSTOP, pids)
        yield
        send(signal.SIGCONT, pids)
        _wait_for(stack, service)

    return outage


def black_holed(service: str) -> Outage:
    """Not a byte comes through, in either direction."""

    @contextmanager
    def outage(stack: Stack) -> Iterator[None]:
        proxy: Proxy = getattr(stack, f"{service}_proxy")
        proxy.hold()
        yield
        proxy.release()

    return outage


def flushed(stack: Stack) -> AbstractContextManager[None]:
    """Redis loses everything it holds, ten times a second: what waits there at those moments is lost."""

    def flush() -> None:
        with _redis(stack) as client:
            client.flushall()

    return _again_and_again(flush, _AGAIN_SECONDS)


def terminated(stack: Stack) -> AbstractContextManager[None]:
    """Postgres ends every connection of the product, once a second."""

    def terminate() -> None:
        with stack.database.transaction() as session:
            session.execute(_TERMINATE)

    return _again_and_again(terminate, _TERMINATE_SECONDS)


@contextmanager
def _again_and_again(act: Callable[[], None], seconds: float) -> Iterator[None]:
    ended = threading.Event()

    def repeat() -> None:
        while not ended.wait(seconds):
            act()

    thread = threading.Thread(target=repeat, name="outage", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _wait_for(stack: Stack, service: str) -> None:
    ask = stack.database.ping if service == "postgres" else lambda: _ping_redis(stack)
    while True:
        try:
            ask()
            return
        except (SQLAlchemyError, RedisError, OSError):
            time.sleep(_AGAIN_SECONDS / 5)


def _ping_redis(stack: Stack) -> None:
    with _redis(stack) as client:
        client.ping()


def _redis(stack: Stack) -> "redis.Redis":
    return redis.Redis.from_url(stack.redis_url.replace("redis+socket://", "unix://"), socket_timeout=1)


REDIS: dict[str, Outage] = {
    "redis killed": killed("redis"),
    "redis flushed": flushed,
    "redis frozen": frozen("redis"),
    "redis black-holed": black_holed("redis"),
}
POSTGRES: dict[str, Outage] = {
    "postgres restarted": restarted("postgres"),
    "postgres backends terminated": terminated,
    "postgres frozen": frozen("postgres"),
    "postgres black-holed": black_holed("postgres"),
}
