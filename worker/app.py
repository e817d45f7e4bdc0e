"""The Celery app that `celery --app worker.app worker` runs."""

from typing import Any

from celery.signals import celeryd_init, worker_process_init, worker_process_shutdown

from store.queue import make_celery
from store.settings import Settings
from worker import preflight, tasks

settings = Settings()
app = make_celery(settings)
tasks.register(app)


@celeryd_init.connect  # type: ignore[untyped-decorator]  # Celery ships no types
def _refuse_if_unfit(**_: Any) -> None:
    preflight.refuse_if_unfit(settings)


@worker_process_init.connect  # type: ignore[untyped-decorator]  # Celery ships no types
def _open_runtime(**_: Any) -> None:
    """Connect after the fork: neither connections nor onnxruntime sessions survive one."""
    tasks.open_runtime_or_end(settings)


@worker_process_shutdown.connect  # type: ignore[untyped-decorator]  # Celery ships no types
def _close_runtime(**_: Any) -> None:
    tasks.close_runtime()
