"""The sweep: every few seconds it finds what was lost and puts it right. `python -m worker.housekeeping`.

Rows are the truth: whether Redis was flushed, a worker killed or a message dropped, the rows say what is due. One sweep works
at a time, under an advisory lock, however many are running. What it looks for is in `worker/rules`.
"""

import logging
import signal
import threading
from collections.abc import Sequence
from types import FrameType

from kombu.exceptions import OperationalError
from redis.exceptions import RedisError
from sqlalchemy.exc import SQLAlchemyError

from store import sweep
from store.database import Database
from store.locks import keep_sweep_lock, try_sweep_lock
from store.queue import Queue
from store.redaction import redact_logs
from store.settings import Settings
from worker.rules import make_rules
from worker.rules.rule import Rule, Tools

_FORESEEN = (SQLAlchemyError, RedisError, OperationalError, OSError)
_log = logging.getLogger(__name__)


class Sweep:
    """Applies the rules, and counts what they put right."""

    def __init__(self, settings: Settings, database: Database, queue: Queue, rules: Sequence[Rule] | None = None) -> None:
        self._tools = Tools(settings, database, queue)
        self._rules = make_rules() if rules is None else rules
        self._shown: set[str] = set()

    def run_once(self) -> None:
        """Apply every rule, if no other sweep is at it. One that fails does not keep the others from running."""
        with self._tools.database.transaction() as session:
            if not try_sweep_lock(session):
                return
            for rule in self._rules:
                keep_sweep_lock(session)  # else another sweep may be at it by now
                self._apply(rule)

    def _apply(self, rule: Rule) -> None:
        try:
            times = rule.apply(self._tools)
            if times or rule.name not in self._shown:  # a figure that has never been 0 shows no first increase
                with self._tools.database.transaction() as session:
                    sweep.count(session, rule.name, times)
                self._shown.add(rule.name)
        except _FORESEEN as error:
            _log.warning("rule %s was cut short, will try again: %s", rule.name, error)
        except Exception:
            _log.exception("rule %s failed, will try again", rule.name)


def main() -> None:
    """Sweep until SIGTERM or Ctrl-C."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    redact_logs()
    settings = Settings()
    sweeper = Sweep(settings, Database.from_settings(settings, pool_size=2), Queue.from_settings(settings))
    stopped = threading.Event()

    def stop(_signal: int, _frame: FrameType | None) -> None:
        stopped.set()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    while not stopped.is_set():
        try:
            sweeper.run_once()
        except _FORESEEN as error:
            _log.warning("sweep cut short, will try again: %s", error)
        stopped.wait(settings.sweep_seconds)


if __name__ == "__main__":
    main()
