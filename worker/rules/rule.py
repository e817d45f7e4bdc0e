"""What a rule of the sweep is, and what it works with."""

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from sqlalchemy.orm import Session

from store.database import Database
from store.queue import Queue
from store.settings import Settings

LIMIT = 1000
"""Rows that one rule looks at in one sweep; the next sweep goes on."""


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


def one_by_one(tools: Tools, find: Find, mend: Callable[[Session, uuid.UUID], object]) -> int:
    """Put right what is found, each row in a transaction of its own, since each locks its job; how many there were."""
    with tools.database.transaction() as session:
        found = find(session, limit=LIMIT)
    for identifier in found:
        with tools.database.transaction() as session:
            mend(session, identifier)
    return len(found)
