"""The product as `penpress up` runs it, on an empty home, with Postgres and Redis behind proxies, and with two workers.

What dies is started again half a second later, as by `penpress up`, but however often it dies.
"""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import httpx
import psutil
from sqlalchemy import text

from migrations import upgrade
from penpress.embedded_postgres import postgres_service
from penpress.embedded_redis import redis_service
from penpress.processes import Program, end, start, stop
from penpress.programs import Addresses, Programs
from penpress.service import Service, wait_until_ready
from registry.catalog import Catalog
from registry.promotion import promote
from store.database import Database
from store.settings import Settings
from tests.chaos.pace import Pace
from tests.chaos.proxy import Proxy
from tests.tiny_bundle import write_tiny_bundle

_START_AGAIN_SECONDS = 0.5
_CHECK_SECONDS = 0.05
_READY_SECONDS = 120.0
_PROCESSES_PER_WORKER = 2
WORKERS = ("worker-1", "worker-2")


@dataclass(slots=True)
class _Charge:
    """A program in our care; `service` where it needs preparing, or others wait for it."""

    program: Program
    child: subprocess.Popen[bytes]
    service: Service | None = None
    died_at: float | None = None
    held_down: bool = False


class Stack:
    """Everything that runs; make it with `running_stack`."""

    def __init__(self, home: Path, pace: Pace, *, sabotage: str | None, settings: dict[str, object]) -> None:
        self.home, self.pace = home, pace
        self._sabotage = sabotage
        self._given = settings
        self.faults = home / "faults"
        self._charges: dict[str, _Charge] = {}
        self._lock = threading.RLock()
        self._ended = threading.Event()

    def start(self) -> None:
        """Return when a job could be accepted and worked on."""
        postgres, redis = postgres_service(self.home, max_connections=200), redis_service(self.home)
        for service in (postgres, redis):
            self._start_service(service)
        upgrade(postgres.url)
        self.database = Database(postgres.url, pool_size=2)
        if self._sabotage == "no-token":
            with self.database.transaction() as session:
                session.execute(text("ALTER TABLE predictions DROP CONSTRAINT uq_predictions_job_id_ordinal_page"))
        self.redis_url = redis.url
        self.postgres_proxy = Proxy(Path(postgres.url.partition("host=")[2]) / ".s.PGSQL.5432")
        self.redis_proxy = Proxy(Path(redis.url.removeprefix("redis+socket://")))
        self._start_programs(self._make_programs(postgres.url))
        self._watcher = threading.Thread(target=self._keep_running, name="supervisor", daemon=True)
        self._watcher.start()
        self._wait_until_ready()

    def _make_programs(self, postgres_url: str) -> Programs:
        values = {
            "home": self.home,
            "blobs_url": (self.home / "blobs").as_uri(),
            "model_poll_seconds": 2,
            "webhook_networks": "127.0.0.0/8",
            "webhook_http_allowed": True,
            "min_free_bytes": 0,  # a disk that fills up while an upload is written is the harder case
        }
        self.settings = Settings.model_validate(values | self.pace.settings | self._given)
        role = postgres_url.partition("://")[2].partition("@")[0]
        self.addresses = Addresses(
            host="127.0.0.1",
            port=_free_port(),
            database_url=f"postgresql+psycopg://{role}@127.0.0.1:{self.postgres_proxy.port}/postgres",
            redis_url=f"redis://127.0.0.1:{self.redis_proxy.port}/0",
        )
        self.bundle = write_tiny_bundle(self.home / "bundle")
        catalog = Catalog(self.settings.mlflow_uri)
        promote(catalog, catalog.register_bundle(self.bundle, parameters={}, tags={}).number)
        return Programs(self.settings, self.addresses)

    def _start_programs(self, programs: Programs) -> None:
        worker = programs.worker(_PROCESSES_PER_WORKER)
        workers = [replace(worker, name=name, log=worker.log.with_name(f"{name}.log")) for name in WORKERS]
        for program in (programs.api(), *workers, programs.sweep(), programs.deliver()):
            if self._sabotage == "no-sweep" and program.name == "sweep":
                continue
            environment = {**(program.environment or {}), "PENPRESS_FAULTS": str(self.faults)}
            self._start(self._sabotaged(replace(program, environment=environment)))

    def _sabotaged(self, program: Program) -> Program:
        if self._sabotage is None:
            return program
        python, dash_m, *rest = program.command
        assert (python, dash_m) == (sys.executable, "-m")
        return replace(program, command=(python, dash_m, "tests.chaos.sabotage", self._sabotage, *rest))

    def _start_service(self, service: Service) -> None:
        service.prepare()
        wait_until_ready(service, self._start(service.program, service))

    def _start(self, program: Program, service: Service | None = None) -> subprocess.Popen[bytes]:
        with self._lock:
            child = start(program)
            self._charges[program.name] = _Charge(program, child, service)
            return child

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + _READY_SECONDS
        while not self.is_ready():
            assert time.monotonic() < deadline, f"not ready: {self.readiness()}"
            time.sleep(_CHECK_SECONDS)

    def is_ready(self) -> bool:
        """Whether the API says so."""
        return self.readiness().startswith('{"ready":true')

    def readiness(self) -> str:
        """What the API answers when asked for it."""
        try:
            return httpx.get(f"{self.addresses.url}/readyz", timeout=5).text
        except httpx.HTTPError as error:
            return repr(error)

    def _keep_running(self) -> None:
        while not self._ended.wait(_CHECK_SECONDS):
            with self._lock:
                for charge in list(self._charges.values()):
                    self._look_after(charge)

    def _look_after(self, charge: _Charge) -> None:
        if charge.child.poll() is None:
            return
        if charge.died_at is None:
            charge.died_at = time.monotonic()
            end(charge.child.pid, charge.program.stop_signal, seconds=0)  # its children may live on
        elif not charge.held_down and time.monotonic() - charge.died_at > _START_AGAIN_SECONDS:
            if charge.service:
                charge.service.prepare()
            charge.child, charge.died_at = start(charge.program), None

    def pid(self, name: str) -> int:
        """Of the program as it runs now, or last did."""
        with self._lock:
            return self._charges[name].child.pid

    def children(self, name: str) -> list[int]:
        """The processes below it."""
        try:
            return [child.pid for child in psutil.Process(self.pid(name)).children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    def hold_down(self, name: str, held: bool = True) -> None:
        """Do not start it again after it has died, until told otherwise."""
        with self._lock:
            self._charges[name].held_down = held

    def stop(self) -> None:
        """End everything."""
        self._ended.set()
        if hasattr(self, "_watcher"):
            self._watcher.join()
        for name in sorted(self._charges, key=lambda name: name in ("redis", "postgres")):
            for pid in (self.pid(name), *self.children(name)):
                _continue(pid)
            stop(self._charges[name].child, self._charges[name].program)
        for part in ("postgres_proxy", "redis_proxy", "database"):
            if hasattr(self, part):
                getattr(self, part).close()


def _continue(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGCONT)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


@contextmanager
def running_stack(
    home: Path, pace: Pace, *, sabotage: str | None = None, settings: dict[str, object] | None = None
) -> Iterator[Stack]:
    """The product with `settings`, ready to work; nothing of it is left afterwards."""
    stack = Stack(home, pace, sabotage=sabotage, settings=settings or {})
    try:
        stack.start()
        yield stack
    finally:
        stack.stop()
