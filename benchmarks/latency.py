"""How much later `/predict/` answers than bare decoding and inference of the same image with the same threads.

The client is the standard library's, over one open connection, since what a client costs is not the service's doing.
"""

import json
import statistics
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from benchmarks.plain_loop import classify
from inference.bundle import load_bundle
from inference.classifier import Classifier

_WARM_UP = 20


@dataclass(frozen=True, slots=True)
class Latency:
    """Milliseconds."""

    p50: float
    p99: float

    @classmethod
    def of(cls, seconds: Sequence[float]) -> "Latency":
        """The percentiles of these durations."""
        percentiles = statistics.quantiles(seconds, n=100)
        return cls(1000 * percentiles[49], 1000 * percentiles[98])


def measure(url: str, bundle: Path, images: Sequence[bytes], *, threads: int) -> tuple[Latency, Latency]:
    """(bare, /predict/), image by image in turn, so that a machine that changes its speed changes both."""
    classifier = Classifier(load_bundle(bundle), device="cpu", threads=threads)
    bare: list[float] = []
    served: list[float] = []
    with closing(HTTPConnection(urlsplit(url).netloc, timeout=60)) as connection:
        for number, image in enumerate([*images[:_WARM_UP], *images]):
            request = httpx.Request("POST", f"{url}/predict/", files={"file": ("image.jpg", image, "image/jpeg")})
            body, headers = request.read(), dict(request.headers)
            seconds = (
                _timed(lambda: classify(classifier, image)),  # noqa: B023  # called at once
                _timed(lambda: _send(connection, body, headers)),  # noqa: B023  # called at once
            )
            if number >= _WARM_UP:
                bare.append(seconds[0])
                served.append(seconds[1])
    return Latency.of(bare), Latency.of(served)


def _send(connection: HTTPConnection, body: bytes, headers: dict[str, str]) -> None:
    connection.request("POST", "/predict/", body, headers)
    answer = connection.getresponse()
    if answer.status != HTTPStatus.OK:
        raise SystemExit(f"/predict/ answered {answer.status}: {answer.read().decode()}")
    json.loads(answer.read())


def _timed(action: Callable[[], None]) -> float:
    started = time.perf_counter()
    action()
    return time.perf_counter() - started
