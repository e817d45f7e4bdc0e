"""Work that waits although nobody may know of it: its message was lost, or was never sent."""

from store import chunks, planning
from worker.rules.rule import LIMIT, Tools

_LIMIT_WITH_BACKLOG = 100


def announce_plans(tools: Tools) -> int:
    """Announce jobs that wait to be planned."""
    with tools.database.transaction() as session:
        due = planning.due_plans(session, hint_seconds=tools.settings.hint_seconds, limit=LIMIT)
    tools.queue.plan_jobs(due)
    return len(due)


def announce_chunks(tools: Tools) -> int:
    """Announce chunks that wait to be classified.

    A few while messages wait, among which a ready chunk's own probably is: one too many costs a claim that fails, but a queue
    that is never empty must not hide a chunk whose message was lost. Many once the queue has run dry.
    """
    limit = _LIMIT_WITH_BACKLOG if tools.queue.backlog() > 0 else LIMIT
    with tools.database.transaction() as session:
        due = chunks.due_chunks(session, hint_seconds=tools.settings.hint_seconds, limit=limit)
    tools.queue.classify_chunks(due)
    return len(due)
