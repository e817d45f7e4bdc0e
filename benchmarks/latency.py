"""How much later `/predict/` answers than bare decoding and inference of the same image with the same threads."""

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

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
    with httpx.Client(base_url=url, timeout=60) as client:
        for number, image in enumerate([*images[:_WARM_UP], *images]):
            request = client.build_request("POST", "/predict/", files={"file": ("image.jpg", image, "image/jpeg")})
            request.read()  # the body is made before the clock starts
            seconds = (_timed(lambda: classify(classifier, image)), _timed(lambda: _send(client, request)))  # noqa: B023  # called at once
            if number >= _WARM_UP:
                bare.append(seconds[0])
                served.append(seconds[1])
    return Latency.of(bare), Latency.of(served)


def _send(client: httpx.Client, request: httpx.Request) -> None:
    client.send(request).raise_for_status()


def _timed(action: Callable[[], None]) -> float:
    started = time.perf_counter()
    action()
    return time.perf_counter() - started
