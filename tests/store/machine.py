"""What state machines over the store's protocols share."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar

from hypothesis.stateful import RuleBasedStateMachine
from sqlalchemy import text
from sqlalchemy.orm import Session

from store.database import Database


class StoreMachine(RuleBasedStateMachine):
    """On the `database` that a test gives it."""

    database: ClassVar[Database]

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        """Each step commits, as each step of the product does, but is not waited for until it is on the disk."""
        with self.database.transaction() as session:
            session.execute(text("SET LOCAL synchronous_commit = off"))
            yield session
