"""What a rule of the sweep is, and what it works with."""

import logging
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol

from sqlalchemy import exc
from sqlalchemy.orm import Session

from store.database import Database
from store.queue import Queue
from store.settings import Settings

LIMIT = 1000
"""Rows that one rule looks at in one sweep; the next sweep goes on."""
PURGE_SECONDS = 1.0
"""What a rule that only makes room takes of one sweep: its rows can wait for the next one, lost chunks cannot wait for it.

Three such rules together stay below the five seconds that docs/reliability.md adds to a sweep.
"""
_OF_ONE_ROW = ("40", "54", "55")  # classes of SQLSTATE: deadlocks, limits such as an index's, locks that were not given
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Tools:
    """What every rule gets."""

    settings: Settings
    database: Database
    queue: Queue


@dataclass(frozen=True, slots=True)
class Rule:
    """`apply` puts right what it finds, in small transactions of its own, and says how often it did; `name` is its label in
    the metrics.
    """

    name: str
    apply: Callable[[Tools], int]


class Find(Protocol):
    """A question to the store."""

    def __call__(self, session: Session, *, limit: int) -> Sequence[uuid.UUID]:
        """The ids of at most `limit` rows that are to be put right."""


@dataclass(frozen=True, slots=True)
class Budget:
    """The time of a rule that makes room, which begins now."""

    _ends: float = field(default_factory=lambda: time.monotonic() + PURGE_SECONDS)

    @property
    def is_spent(self) -> bool:
        """Whether the next sweep is to go on."""
        return time.monotonic() >= self._ends


def find_rows(tools: Tools, find: Find) -> Sequence[uuid.UUID]:
    """What a rule has to put right in this sweep."""
    with tools.database.transaction() as session:
        return find(session, limit=LIMIT)


def one_by_one(tools: Tools, find: Find, mend: Callable[[Session, uuid.UUID], object]) -> int:
    """Put right what is found, each row in a transaction of its own, since each locks its job; how many could be."""
    mended = 0
    for identifier in find_rows(tools, find):
        with isolated(identifier):
            with tools.database.transaction() as session:
                mend(session, identifier)
            mended += 1
    return mended


@contextmanager
def isolated(identifier: uuid.UUID) -> Iterator[None]:
    """Log what goes wrong with one row, which must not keep others from being put right: it is found again, perhaps as the
    first. A connection that failed would do so for the others, too, and its error is raised.
    """
    try:
        yield
    except Exception as error:
        if isinstance(error, exc.SQLAlchemyError) and _is_of_the_connection(error):
            raise
        _log.exception("%s could not be put right, will try again", identifier)


def _is_of_the_connection(error: exc.SQLAlchemyError) -> bool:
    if isinstance(error, exc.OperationalError):
        return not (getattr(error.orig, "sqlstate", None) or "").startswith(_OF_ONE_ROW)
    return isinstance(error, (exc.InterfaceError, exc.TimeoutError))  # the latter of a pool that has no connection left
