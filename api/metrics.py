"""What the API's process counts, for Prometheus: its requests, and how following the model in production goes.

The registry is this process's own. Each `CurrentModel` counts for itself; its figures are read when somebody asks for them.
What only Postgres knows of, such as the backlog, does not belong here: it would be the same in each replica. The one exception
is what the sweep has put right, since the sweep has no endpoint of its own: take the maximum over the replicas, not the sum.
"""

import time
from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.sweep_metrics import SweepCollector
from registry.current import CurrentModel
from registry.errors import NoModel
from store.database import Database

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_METHODS = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"})
_NO_ROUTE = "none"


class Metrics:
    """The figures of one API process."""

    def __init__(self, models: CurrentModel, database: Database | None = None) -> None:
        """Count from now on; `models` and `database` are asked whenever the figures are."""
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "penpress_http_requests", "Requests answered.", ["method", "route", "status"], registry=self.registry
        )
        self._seconds = Histogram(
            "penpress_http_request_seconds",
            "Time until the answer began.",
            ["method", "route"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.registry.register(_ModelCollector(models))
        if database:
            self.registry.register(SweepCollector(database))
        ProcessCollector(registry=self.registry)

    def count(self, method: str, route: str, status: int, seconds: float) -> None:
        """A request was answered with `status` after `seconds`."""
        self._requests.labels(method, route, str(status)).inc()
        self._seconds.labels(method, route).observe(seconds)

    def exposition(self) -> bytes:
        """Everything in Prometheus' text format 0.0.4, which is `CONTENT_TYPE`."""
        return generate_latest(self.registry)


class _ModelCollector(Collector):
    def __init__(self, models: CurrentModel) -> None:
        self._models = models

    def describe(self) -> list[Metric]:
        """Nothing, so that registering does not collect."""
        return []

    def collect(self) -> Iterator[Metric]:
        status = self._models.status()
        yield _served(self._models)
        yield CounterMetricFamily("penpress_model_swaps", "Models swapped in since the start.", status.swaps)
        yield CounterMetricFamily(
            "penpress_model_failures", "Attempts to learn of or to load the model that failed.", status.failures
        )
        yield GaugeMetricFamily(
            "penpress_model_failing", "1 while the last attempt has failed and an older model serves.", bool(status.last_error)
        )
        if status.loaded_at is not None:
            yield GaugeMetricFamily(
                "penpress_model_loaded_timestamp_seconds", "When the model was swapped in.", status.loaded_at.timestamp()
            )


def _served(models: CurrentModel) -> Metric:
    served = InfoMetricFamily("penpress_model", "The model that answers /predict/.")
    try:
        model = models.get()
    except NoModel:
        return served
    bundle = model.classifier.bundle.manifest
    served.add_metric(
        [], {"version": model.version, "name": bundle.name, "device": "cuda" if model.classifier.on_gpu else "cpu"}
    )
    return served


class CountRequests:
    """ASGI middleware: tells the `Metrics` in the application's services of every request.

    Plain ASGI, since Starlette's own base class puts a queue between an answer and its reader.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and count it when its answer begins or when none came."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        status, seconds = 500, None

        async def watch(message: Message) -> None:
            nonlocal status, seconds
            if message["type"] == "http.response.start":
                status, seconds = message["status"], time.perf_counter() - started
            await send(message)

        try:
            await self._app(scope, receive, watch)
        finally:
            metrics: Metrics = scope["app"].state.services.metrics
            metrics.count(*_labels(scope), status, time.perf_counter() - started if seconds is None else seconds)


def _labels(scope: Scope) -> tuple[str, str]:
    """(method, route): the template of the path, and nothing that a client can make up, which would be a series each."""
    method = scope["method"] if scope["method"] in _METHODS else "other"
    return method, getattr(scope.get("route"), "path", _NO_ROUTE)
