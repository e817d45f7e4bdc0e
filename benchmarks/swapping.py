"""Move the alias again and again while clients ask without a pause, and note what each API process made of it."""

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import cycle, islice

import httpx
import psutil

_DEADLINE_SECONDS = 60
_THIRD = 3


@dataclass(frozen=True, slots=True)
class Api:
    """One API process."""

    url: str
    pid: int


@dataclass(slots=True)
class Measured:
    """What one API process did: seconds from each move of the alias to its first answer from the new version, its requests,
    what failed, and its resident memory in bytes after each swap.
    """

    api: Api
    seconds: list[float] = field(default_factory=list)
    requests: int = 0
    failed: list[str] = field(default_factory=list)
    memory: list[int] = field(default_factory=list)

    @property
    def growth(self) -> float:
        """Memory after the last swap, as a share of that after the third."""
        return self.memory[-1] / self.memory[_THIRD - 1]


def measure(
    apis: Sequence[Api],
    image: bytes,
    move: Callable[[str], None],
    versions: Sequence[str],
    *,
    swaps: int,
    clients: int,
    pause_seconds: float,
) -> list[Measured]:
    """Let `move` point the alias to one of `versions` after the other; the first must not be in production yet."""
    with ExitStack() as stack:
        loads = [stack.enter_context(_load(api, image, clients)) for api in apis]
        for version in islice(cycle(versions), swaps):
            for load in loads:
                load.expect(version)
            started = time.monotonic()
            move(version)
            for load in loads:
                load.measured.seconds.append(load.arrival() - started)
            time.sleep(pause_seconds)
            for load in loads:
                load.measured.memory.append(psutil.Process(load.measured.api.pid).memory_info().rss)
    return [load.measured for load in loads]


class _Load:
    """Clients that ask one API process without a pause."""

    def __init__(self, api: Api, image: bytes) -> None:
        self.measured = Measured(api)
        self._image = image
        self._expected: str | None = None
        self._arrived: float | None = None
        self._noted = threading.Condition()
        self.stopped = threading.Event()

    def ask(self) -> None:
        with httpx.Client(base_url=self.measured.api.url, timeout=_DEADLINE_SECONDS) as client:
            while not self.stopped.is_set():
                self._note(*_ask_once(client, self._image))

    def expect(self, version: str) -> None:
        """From now on, look out for an answer of `version`."""
        with self._noted:
            self._expected, self._arrived = version, None

    def arrival(self) -> float:
        """When the expected version answered first (monotonic seconds)."""
        with self._noted:
            self._noted.wait_for(lambda: self._arrived is not None, _DEADLINE_SECONDS)
            if self._arrived is None:
                raise SystemExit(f"Version {self._expected} did not answer within {_DEADLINE_SECONDS} s.")
            return self._arrived

    def _note(self, version: str | None, failure: str | None) -> None:
        with self._noted:
            self.measured.requests += 1
            if failure is not None:
                self.measured.failed.append(failure)
            elif version == self._expected and self._arrived is None:
                self._arrived = time.monotonic()
                self._noted.notify_all()


@contextmanager
def _load(api: Api, image: bytes, clients: int) -> Iterator[_Load]:
    load = _Load(api, image)
    threads = [threading.Thread(target=load.ask) for _ in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield load
    finally:
        load.stopped.set()
        for thread in threads:
            thread.join()


def _ask_once(client: httpx.Client, image: bytes) -> tuple[str | None, str | None]:
    """(the version that answered, what failed)."""
    try:
        answer = client.post("/predict/", files={"file": ("line.png", image)})
    except httpx.HTTPError as error:
        return None, repr(error)
    if answer.status_code != httpx.codes.OK:
        return None, f"{answer.status_code}: {answer.text}"
    return str(answer.json()["model_version"]), None


@contextmanager
def api_process(environment: Mapping[str, str]) -> Iterator[Api]:
    """An API of our own with these settings, on a free port, until the block is left."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    variables = {**os.environ, **environment, "PENPRESS_PORT": str(port)}
    process = subprocess.Popen([sys.executable, "-m", "api"], env=variables)
    try:
        api = Api(f"http://127.0.0.1:{port}", process.pid)
        _wait_until_ready(api, process)
        yield api
    finally:
        process.terminate()
        process.wait()


def _wait_until_ready(api: Api, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _DEADLINE_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if httpx.get(f"{api.url}/readyz").status_code == httpx.codes.OK:
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.05)
    raise SystemExit("The API did not become ready.")
