"""No secret stands in the log of a worker, of the sweep or of the deliverer."""

import logging
from collections.abc import Callable, Iterator
from types import ModuleType

import pytest
from celery import signals

from store.redaction import RedactingFormatter
from store.settings import Settings
from worker import deliver, housekeeping


@pytest.fixture
def handler() -> Iterator[logging.Handler]:
    """Of a logger of our own."""
    handler, logger = logging.StreamHandler(), logging.getLogger("tests.redacted")
    logger.addHandler(handler)
    yield handler
    logger.removeHandler(handler)


class Ended(Exception):
    """The program would now begin."""


@pytest.mark.parametrize("program", [deliver, housekeeping])
def test_a_program_redacts_before_it_does_anything(
    program: ModuleType, handler: logging.Handler, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(program, "Settings", failing(Ended()))
    with pytest.raises(Ended):
        program.main()
    assert isinstance(handler.formatter, RedactingFormatter)


@pytest.mark.parametrize("signal", [signals.after_setup_logger, signals.after_setup_task_logger])
def test_a_worker_redacts_what_celery_has_set_up(
    signal: object, handler: logging.Handler, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PENPRESS_REDIS_URL", str(settings.redis_url))
    from worker import app  # noqa: F401  # it connects its receivers

    signal.send(sender=None)  # type: ignore[attr-defined]  # a Celery signal
    assert isinstance(handler.formatter, RedactingFormatter)


def failing(error: Exception) -> Callable[[], None]:
    def fail() -> None:
        raise error

    return fail
