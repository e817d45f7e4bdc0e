"""`penpress up`: everything on one machine, in one process tree, until Ctrl-C or SIGTERM.

What needs nothing starts at once: the API imports its libraries while Postgres makes its cluster, and connects when there is
something to connect to. Only the migrations wait for Postgres, the worker for Redis, and the sweep and the deliverer of
webhooks, which nobody misses at first, for all the others. An API that others can reach waits until it is known that there
are keys.
"""

import errno
import os
import signal
import socket
import threading
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from penpress.embedded_postgres import postgres_service
from penpress.embedded_redis import redis_service
from penpress.errors import KeysRequired, PortInUse, ServiceFailed
from penpress.processes import end_orphan, usable_cores
from penpress.programs import Addresses, Programs
from penpress.service import Configured, Service, wait_until_ready
from penpress.state import Started, State, only_one, read_state, remove_state, write_state
from penpress.supervisor import Supervisor
from registry.cache import BundleCache
from registry.catalog import PROD
from store.loopback import is_loopback
from store.settings import Settings

_CHECK_SECONDS = 0.1
_READY_SECONDS = 180.0
_PROBE_SECONDS = 5.0
_STOP_GROUPS = (("api", "worker", "sweep", "deliver"), ("redis", "postgres"))
# Two connections and as many in reserve for each worker process, and some for the API, the sweep and people.
_CONNECTIONS_PER_PROCESS = 4
_OTHER_CONNECTIONS = 80


class Display(Protocol):
    """Who tells the person at the terminal how things are."""

    def starting(self, run: "Up") -> None:
        """Before anything is started."""

    def ready(self, run: "Up", url: str) -> None:
        """The service answers at `url`."""

    def stopping(self) -> None:
        """The service was asked to stop."""


class Up:
    """One run of `penpress up`. `url`, `home` and `processes` say what it runs."""

    def __init__(self, settings: Settings, *, host: str, port: int, processes: int | None) -> None:
        """Nothing is started yet. `port` 0 means a free one; `processes` of the worker, by default one per core."""
        self.settings = settings
        self.home = settings.home_dir
        self.processes = processes or settings.worker_processes or usable_cores()
        self._host, self._port = host, port
        self._stopped = threading.Event()

    def run(self, show: Display) -> None:
        """Start everything and stay until asked to stop, telling `show` how things are. Raises a `PenpressError`."""
        with only_one(self.home), self._until_asked_to_stop():
            end_orphans(self.home)  # first: those of a killed run may hold the port
            port = _free_port(self._host, self._port)
            show.starting(self)
            self._supervise(port, show)

    def _supervise(self, port: int, show: Display) -> None:
        postgres, redis = self._services()
        addresses = Addresses(self._host, port, postgres.url, redis.url)
        supervisor = Supervisor(lambda processes: self._note(addresses, processes))
        executor = ThreadPoolExecutor(max_workers=3, thread_name_prefix="up")
        try:
            programs = Programs(self.settings, addresses)
            model = executor.submit(supervisor.run, programs.bootstrap())
            steps = self._start(executor, supervisor, programs, postgres, redis)
            if self._wait_until_ready(supervisor, addresses.url, steps, model):
                supervisor.start(programs.sweep())
                supervisor.start(programs.deliver())
                show.ready(self, addresses.url)
            while not self._stopped.wait(_CHECK_SECONDS):
                supervisor.check()
            show.stopping()
        finally:
            supervisor.stop(_STOP_GROUPS)
            executor.shutdown()
            remove_state(self.home)

    def _services(self) -> tuple[Service | Configured, Service | Configured]:
        """Postgres and Redis: the configured ones, else our own."""
        database_url, redis_url = self.settings.database_url, self.settings.redis_url
        connections = _OTHER_CONNECTIONS + _CONNECTIONS_PER_PROCESS * self.processes
        return (
            Configured(database_url) if database_url else postgres_service(self.home, max_connections=connections),
            Configured(redis_url) if redis_url else redis_service(self.home),
        )

    def _start(
        self,
        executor: ThreadPoolExecutor,
        supervisor: Supervisor,
        programs: Programs,
        postgres: Service | Configured,
        redis: Service | Configured,
    ) -> list[Future[None]]:
        """Start what can start. The service is not ready before the returned steps are done."""

        def bring_up_database() -> None:
            _bring_up(supervisor, postgres)
            supervisor.run(programs.migrations())
            if not is_loopback(self._host):
                self._demand_keys(postgres.url)
                supervisor.start(programs.api())

        def bring_up_worker() -> None:
            _bring_up(supervisor, redis)
            supervisor.start(programs.worker(self.processes))

        database = executor.submit(bring_up_database)
        if is_loopback(self._host):
            supervisor.start(programs.api())
        return [database, executor.submit(bring_up_worker)]

    def _wait_until_ready(self, supervisor: Supervisor, url: str, steps: list[Future[None]], model: Future[None]) -> bool:
        """Whether the service is ready, rather than asked to stop. Raises `ServiceFailed`.

        The step `model` goes on for a while after there is one, and may fail where one is known from earlier: the registry
        may be down. The API says when it has a model.
        """
        deadline = time.monotonic() + _READY_SECONDS
        while not self._stopped.wait(_CHECK_SECONDS):
            supervisor.check()
            for step in steps:
                if step.done():
                    step.result()
            if model.done() and not self._has_model():
                model.result()
            if all(step.done() for step in steps) and answers(f"{url}/readyz"):
                return True
            if time.monotonic() > deadline:
                raise ServiceFailed(f"Penpress was not ready after {_READY_SECONDS:.0f} s; see {self.home / 'logs'}.")
        return False

    def _demand_keys(self, database_url: str) -> None:
        """Raises `KeysRequired`: what others can reach needs keys before it answers."""
        from penpress.keys_database import has_keys  # with SQLAlchemy, which a start on loopback does without

        if not has_keys(database_url):
            raise KeysRequired(f"{KeysRequired.__doc__} It was to listen on {self._host}.")

    def _has_model(self) -> bool:
        return BundleCache(self.settings.models_dir, self.settings.mlflow_uri, PROD).read_pointer() is not None

    def _note(self, addresses: Addresses, processes: list[Started]) -> None:
        state = State(
            url=addresses.url,
            pid=os.getpid(),
            database_url=addresses.database_url,
            redis_url=addresses.redis_url,
            processes=processes,
        )
        write_state(self.home, state)

    @contextmanager
    def _until_asked_to_stop(self) -> Iterator[None]:
        # One that is ignored stays so: that is how nohup asks to go on without a terminal.
        numbers = [n for n in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP) if signal.getsignal(n) is not signal.SIG_IGN]
        previous = [signal.signal(number, lambda *_: self._stopped.set()) for number in numbers]
        try:
            yield
        finally:
            for number, handler in zip(numbers, previous, strict=True):
                signal.signal(number, handler)


def _bring_up(supervisor: Supervisor, service: Service | Configured) -> None:
    if isinstance(service, Service):
        service.prepare()
        wait_until_ready(service, supervisor.start(service.program))


def end_orphans(home: Path) -> None:
    """End what an `up` that was killed has left running."""
    state = read_state(home)
    processes = state.processes if state else []
    with ThreadPoolExecutor(max_workers=max(1, len(processes))) as executor:
        for left in processes:
            executor.submit(end_orphan, left.pid, left.created, signal.Signals(left.stop_signal))
    remove_state(home)


def _free_port(host: str, port: int) -> int:
    """`port` if nothing listens there, or any free one for 0. Raises `PortInUse`."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise PortInUse(f"Port {port} on {host} is in use; choose another with --port, or --port 0.") from error
            raise PortInUse(f"Penpress cannot listen on {host}:{port}: {error.strerror or error}.") from error
        return int(probe.getsockname()[1])


def answers(url: str) -> bool:
    """Whether a GET of `url` gives 200."""
    try:
        with urllib.request.urlopen(url, timeout=_PROBE_SECONDS) as answer:  # noqa: S310  # always our own http address
            return bool(answer.status == 200)
    except OSError:
        return False
