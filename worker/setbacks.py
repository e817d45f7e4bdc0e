"""What ends a piece of work before its time, and what that says of the work.

A worker that dies counts as an attempt against its work, and so does an exception that nobody foresaw: it is left to the lease,
which runs out. What is only missing for now blames nobody: the work is given back, and its job shows what it waits for.
"""

import itertools
import logging
import time
from collections.abc import Callable

from sqlalchemy.exc import InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.orm import Session

from inference.classifier import ClassifierError, DeviceUnavailable, OutOfMemory, WrongGraph
from inference.errors import BundleError
from inference.golden import GoldenMismatch
from registry.errors import NoSuchVersion, RegistryError
from store.blobs import BlobsUnavailable
from worker.runtime import Runtime

MODEL_GONE = (NoSuchVersion, BundleError, WrongGraph)
"""The version that a running job is pinned to cannot be had or cannot be run, now or ever."""

DATABASE_FAILED = (OperationalError, InterfaceError)
"""The connection, not what was said over it."""

PASSING = (RegistryError, DeviceUnavailable, OutOfMemory, GoldenMismatch, BlobsUnavailable, *DATABASE_FAILED)
"""The work waits for better times, or for another machine: the version that a job was planned with was found good somewhere.
Catch `MODEL_GONE` first.
"""

PASSING_FOR_A_PLAN = (*PASSING, BundleError, ClassifierError)
"""A job that is not planned is pinned to no version yet: another one may be promoted."""

_RETRY_AFTER_SECONDS = (0.0, 1.0, 2.0, 4.0)
_log = logging.getLogger(__name__)


def cause_of(error: Exception) -> str:
    """What the work waits for, as its job shows it."""
    # A driver's message holds the statement and its parameters, which are nothing for a client.
    return "The database did not answer." if isinstance(error, DATABASE_FAILED) else str(error)


def give_back(runtime: Runtime, release: Callable[[Session], None]) -> None:
    """Run `release` in a transaction, as soon as the database is back: until then there is nothing else to do, and an outage
    that outlasts the lease would count against the work. A worker that is to stop leaves it to the lease.
    """
    runtime.mark.drop()  # nothing is in hand any more
    runtime.mark.wait()
    for number in itertools.count():
        time.sleep(_RETRY_AFTER_SECONDS[min(number, len(_RETRY_AFTER_SECONDS) - 1)])
        try:
            with runtime.database.transaction() as session:
                release(session)
            return
        except SQLAlchemyError as error:
            _log.warning("work not given back: %s", error)
            is_away = isinstance(error, DATABASE_FAILED)
        if _must_stop(runtime) or (not is_away and number + 1 >= len(_RETRY_AFTER_SECONDS)):
            return


def _must_stop(runtime: Runtime) -> bool:
    return (runtime.mark.stopping_seconds() or 0.0) > runtime.settings.warm_stop_seconds
