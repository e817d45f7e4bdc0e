"""Faults of what the product stands on: the network to Postgres and Redis, their contents, the disk."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import redis
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from tests.chaos.arena import Arena, Struck
from tests.chaos.proxy import Proxy

_SLOW_SECONDS = 0.2
_TERMINATE = text(
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'penpress' AND pid <> pg_backend_pid() "
    "ORDER BY random() LIMIT :count"
)


def proxy_of(arena: Arena, service: str) -> Proxy:
    """What stands between the product and that service."""
    return {"postgres": arena.stack.postgres_proxy, "redis": arena.stack.redis_proxy}[service]


def black_hole(service: str) -> Callable[[Arena], Struck]:
    """No byte reaches the service, or comes back, for a while."""

    def strike(arena: Arena) -> Struck:
        proxy = proxy_of(arena, service)
        proxy.hold()
        time.sleep(arena.pace.freeze)
        proxy.release()
        return Struck(time.monotonic())

    return strike


def cut(service: str) -> Callable[[Arena], Struck]:
    """Every connection to the service is reset."""

    def strike(arena: Arena) -> Struck:
        proxy_of(arena, service).reset()
        return Struck(time.monotonic())

    return strike


def slow(service: str) -> Callable[[Arena], Struck]:
    """Every answer of the service takes 0.2 s longer each way, for a while."""

    def strike(arena: Arena) -> Struck:
        proxy = proxy_of(arena, service)
        proxy.slow(_SLOW_SECONDS)
        time.sleep(arena.pace.freeze)
        proxy.slow(0)
        return Struck(time.monotonic())

    return strike


def terminate_backend(arena: Arena) -> Struck:
    """One of the product's connections is ended by Postgres itself."""
    arena.wait_for_work()
    try:
        with arena.stack.database.transaction() as session:
            session.execute(_TERMINATE, {"count": 1})
    except SQLAlchemyError:  # it was our own
        pass
    return Struck(time.monotonic())


def flush_redis(arena: Arena) -> Struck:
    """Everything that Redis holds is gone."""
    with redis.Redis.from_url(arena.stack.redis_url.replace("redis+socket://", "unix://")) as client:
        client.flushall()
    return Struck(time.monotonic())


def fill_disk(arena: Arena) -> Struck:
    """Not a byte is free where uploads are kept, for a while."""
    filler = Path(arena.stack.home / "blobs" / "filler")
    with filler.open("wb", buffering=0) as file:  # what a buffer still held would have no room when it is closed
        try:
            while True:
                file.write(b"\0" * 2**20)
        except OSError:
            _fill_the_rest(filler)
    time.sleep(arena.pace.freeze)
    filler.unlink()
    return Struck(time.monotonic())


def _fill_the_rest(filler: Path) -> None:
    descriptor = os.open(filler, os.O_WRONLY | os.O_APPEND)
    try:
        while os.write(descriptor, b"\0" * 4096):
            pass
    except OSError:
        pass
    finally:
        os.close(descriptor)
