"""What the sweep has put right, as the rows count it. They are read when somebody asks for the figures."""

import logging
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

from prometheus_client.metrics_core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy.exc import SQLAlchemyError

from store import sweep
from store.database import Database

_PATIENCE_SECONDS = 1.0
_log = logging.getLogger(__name__)


class SweepCollector(Collector):
    """Gives no figures while Postgres does not answer: a scrape must neither fail nor hang with it."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="sweep-counts")
        self._reading: Future[dict[str, int]] | None = None

    def describe(self) -> list[Metric]:
        """Nothing, so that registering does not collect."""
        return []

    def collect(self) -> Iterator[Metric]:
        """One counter with a label for each rule that has run."""
        counter = CounterMetricFamily(
            "penpress_sweep_actions", "What the sweep has put right, by rule, since ever.", labels=["rule"]
        )
        for rule, times in self._counts().items():
            counter.add_metric([rule], times)
        yield counter

    def _counts(self) -> dict[str, int]:
        # A connection to a frozen Postgres hangs for as long as it likes: one thread waits for it, and no request does.
        self._reading = self._reading or self._executor.submit(self._read)
        try:
            counts = self._reading.result(_PATIENCE_SECONDS)
        except TimeoutError:
            return {}
        except SQLAlchemyError as error:
            _log.warning("the sweep's figures could not be read: %s", error)
            counts = {}
        self._reading = None
        return counts

    def _read(self) -> dict[str, int]:
        with self._database.single_statement() as session:
            return sweep.counts(session)
