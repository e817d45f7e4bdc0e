"""What a rule of the sweep is, and what it works with."""

from collections.abc import Callable
from dataclasses import dataclass

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
