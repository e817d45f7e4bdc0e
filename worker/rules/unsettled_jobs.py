"""Jobs that were cancelled while a worker held one of their chunks, and that worker was lost."""

from store import jobs
from worker.rules.rule import LIMIT, Tools


def settle_cancelled_jobs(tools: Tools) -> int:
    """Take each to its end in a transaction of its own, since it locks the job."""
    with tools.database.transaction() as session:
        unsettled = jobs.unsettled_jobs(session, limit=LIMIT)
    for job_id in unsettled:
        with tools.database.transaction() as session:
            jobs.settle_cancelled(session, job_id)
    return len(unsettled)
