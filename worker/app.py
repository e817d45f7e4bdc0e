"""The Celery app that `celery --app worker.app worker` runs."""

import logging
import os
import signal
import time
from typing import Any

from celery.signals import (
    after_setup_logger,
    after_setup_task_logger,
    celeryd_init,
    worker_process_init,
    worker_process_shutdown,
    worker_ready,
    worker_shutdown,
    worker_shutting_down,
)
from celery.worker import state

from store.queue import make_celery
from store.redaction import redact_logs
from store.settings import Settings
from worker import preflight, tasks
from worker.farewell import end_at_last
from worker.marks import ask_to_stop
from worker.watch import Watch

settings = Settings()
app = make_celery(settings)
app.conf.worker_consumer = "worker.consumer:PromptConsumer"
tasks.register(app)

# By itself the pool looks every five seconds who has died and must be replaced.
_BURY_SECONDS = 0.25
_burials: Any = None
_watch: Watch | None = None
_log = logging.getLogger(__name__)


@after_setup_logger.connect  # type: ignore[untyped-decorator]  # Celery ships no types
@after_setup_task_logger.connect  # type: ignore[untyped-decorator]  # Celery ships no types
def _redact_logs(**_: Any) -> None:
    redact_logs()


@celeryd_init.connect  # type: ignore[untyped-decorator]  # Celery ships no types
def _refuse_if_unfit(**_: Any) -> None:
    global _watch
    preflight.refuse_if_unfit(settings)
    _watch = Watch(settings, _end_warmly)


@worker_process_init.connect  # type: ignore[untyped-decorator]  # Celery ships no types
def _open_runtime(**_: Any) -> None:
    """Connect after the fork: neither connections nor onnxruntime sessions survive one."""
    tasks.open_runtime_or_end(settings, _watch.folder if _watch else None)


@worker_process_shutdown.connect  # type: ignore[untyped-decorator]  # Celery ships no types
def _close_runtime(**_: Any) -> None:
    tasks.close_runtime()


@worker_ready.connect  # type: ignore[untyped-decorator]  # Celery ships no types
def _watch_pool(sender: Any, **_: Any) -> None:
    """Again after each loss of the broker: the pool makes its callbacks anew then."""
    global _burials
    if _watch is not None:
        _tell_deaths(sender.pool._pool, _watch)
        _watch.start()
        if _burials is not None:
            _burials.cancel()
        _burials = sender.hub.call_repeatedly(_BURY_SECONDS, sender.pool._pool.maintain_pool)


def _tell_deaths(pool: Any, watch: Watch) -> None:
    """Celery has no signal for the death of a pool process, and the pool calls this whenever it has buried one."""
    bury = pool.on_process_down

    def tell(process: Any) -> None:
        watch.note_death(process.pid, process.exitcode)
        bury(process)

    pool.on_process_down = tell


@worker_shutting_down.connect  # type: ignore[untyped-decorator]  # Celery ships no types
def _stop_warmly(**_: Any) -> None:
    if _watch is not None:
        ask_to_stop(_watch.folder)
    end_at_last(settings.warm_stop_seconds + settings.page_seconds)


@worker_shutdown.connect  # type: ignore[untyped-decorator]  # Celery ships no types
def _stop_watch(**_: Any) -> None:
    """A broken worker stays away for a while, so that it is not started into the same fault at once."""
    if _watch is None:
        return
    _watch.stop()
    if _watch.is_broken:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        time.sleep(settings.broken_worker_pause_seconds)


def _end_warmly() -> None:
    """As at SIGTERM, but with an exit code that says that something is wrong."""
    state.should_stop = os.EX_SOFTWARE
