"""The deliverer: tells receivers of what happened to their jobs. `python -m worker.deliver`.

A process of its own, so that a receiver that hangs keeps no image waiting. It asks Postgres what is due; there is no message
that could be lost. Several deliverers share the work.
"""

import logging
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from types import FrameType

from sqlalchemy.exc import SQLAlchemyError

from store import deliveries, faults
from store.database import Database
from store.deliveries import Delivery, Outcome, Shares
from store.redaction import redact_logs
from store.settings import Settings
from store.webhook_errors import NoWebhookSecret
from worker.send import Message, Sender

# What a delivery may take beyond the time that the receiver has: for the name server, and for a database that restarts.
_SPARE_LEASE_SECONDS = 15.0
_MARK_AGAIN_AFTER_SECONDS = (0.0, 1.0, 4.0)
_log = logging.getLogger(__name__)


class Deliverer:
    """Claims what is due and sends it, so much at once as there are slots."""

    def __init__(self, settings: Settings, database: Database, sender: Sender) -> None:
        self._settings, self._database, self._sender = settings, database, sender
        self._slots = settings.webhook_slots
        self._executor = ThreadPoolExecutor(max_workers=self._slots, thread_name_prefix="deliver")
        self._lock = threading.Lock()
        self._in_flight = self._suspects_in_flight = 0
        self._wake = threading.Event()

    def run(self, stopped: threading.Event) -> None:
        """Deliver until `stopped` is set, which is noticed at the next poll; what is under way is finished."""
        while not stopped.is_set():
            self._wake.clear()
            try:
                self.run_once()
            except SQLAlchemyError as error:
                _log.warning("deliveries not claimed, will try again: %s", error)
            self._wake.wait(self._settings.webhook_poll_seconds)
        self.close()

    def run_once(self) -> int:
        """Begin to deliver what is due, as far as there are slots; how many. Hosts that failed have half at most."""
        with self._lock:
            free, suspects = self._slots - self._in_flight, self._suspects_in_flight
        claimed = self._claim(free, suspects=False) if free else []
        room = min(free - len(claimed), max(1, self._slots // 2) - suspects)
        claimed += self._claim(room, suspects=True) if room > 0 else []
        for delivery in claimed:
            self._count(delivery, 1)
            self._executor.submit(self._deliver, delivery)
        return len(claimed)

    def close(self) -> None:
        """Finish what is under way."""
        self._executor.shutdown()

    def _claim(self, limit: int, *, suspects: bool) -> list[Delivery]:
        settings = self._settings
        with self._database.transaction() as session:
            return deliveries.claim_due_events(
                session,
                suspects=suspects,
                limit=limit,
                shares=Shares(per_host=settings.webhook_slots_per_host, per_key=settings.webhook_slots_per_key),
                lease_seconds=settings.webhook_timeout_seconds + _SPARE_LEASE_SECONDS,
            )

    def _count(self, delivery: Delivery, change: int) -> None:
        with self._lock:
            self._in_flight += change
            self._suspects_in_flight += change if delivery.is_suspect else 0

    def _deliver(self, delivery: Delivery) -> None:
        try:
            outcome = self._attempt(delivery)
            if outcome.is_success:
                faults.reach("after_2xx_before_mark", item=str(delivery.event_id))
            self._mark(delivery, outcome)
        finally:
            self._count(delivery, -1)
            self._wake.set()  # a slot is free

    def _attempt(self, delivery: Delivery) -> Outcome:
        secrets = delivery.secrets or self._settings.webhook_secrets
        if not secrets:
            return Outcome(0, error=NoWebhookSecret.__doc__)
        try:
            message = Message.signed(str(delivery.event_id), delivery.payload, secrets=secrets, now=datetime.now(UTC))
            return self._sender.send(delivery.url, message)
        except Exception as error:  # an attempt that is not logged would be made again without end
            _log.exception("event %s could not be sent", delivery.event_id)
            return Outcome(0, error=f"It could not be sent: {type(error).__name__}.")

    def _mark(self, delivery: Delivery, outcome: Outcome) -> None:
        """A database that stays away leaves the event to its lease: it is told again, under the same id."""
        for seconds in _MARK_AGAIN_AFTER_SECONDS:
            time.sleep(seconds)
            try:
                with self._database.transaction() as session:
                    if outcome.is_success:
                        deliveries.mark_delivered(session, delivery, outcome)
                    else:
                        deliveries.mark_failed(session, delivery, outcome, failing_days=self._settings.webhook_failing_days)
                return
            except SQLAlchemyError as error:
                _log.warning("outcome of event %s not written: %s", delivery.event_id, error)


def main() -> None:
    """Deliver until SIGTERM or Ctrl-C."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    redact_logs()
    settings = Settings()
    deliverer = Deliverer(settings, Database.from_settings(settings), Sender.from_settings(settings))
    stopped = threading.Event()

    def stop(_signal: int, _frame: FrameType | None) -> None:
        stopped.set()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    deliverer.run(stopped)


if __name__ == "__main__":
    main()
