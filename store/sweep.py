"""How often each rule of the sweep has put something right: the figures outlive the process that sweeps."""

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from store.models import SweepCount


def count(session: Session, rule: str, times: int) -> None:
    """Add `times` to what `rule` has put right; with 0 its row is there afterwards."""
    row = insert(SweepCount).values(rule=rule, count=times)
    added = {"count": SweepCount.count + row.excluded["count"]}
    session.execute(row.on_conflict_do_update(index_elements=[SweepCount.rule], set_=added))


def counts(session: Session) -> dict[str, int]:
    """Rule → how often it has put something right, since ever."""
    return {row.rule: row.count for row in session.scalars(select(SweepCount).order_by(SweepCount.rule))}
