"""Webhooks whose deliverer fell silent: nobody knows whether they were told, so they are told again, under the same id."""

from store import deliveries
from worker.rules.rule import LIMIT, Tools


def release_expired_deliveries(tools: Tools) -> int:
    """Deliverers find by themselves what is due; this makes due what one of them took with it."""
    with tools.database.transaction() as session:
        return deliveries.release_expired(session, limit=LIMIT)
