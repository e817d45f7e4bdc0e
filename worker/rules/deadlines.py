"""Jobs whose deadline has passed: they are cancelled."""

from store import jobs
from worker.rules.rule import LIMIT, Tools

_DETAIL = "Its deadline (Cancel-After) passed before it was done."


def cancel_overdue_jobs(tools: Tools) -> int:
    """Cancel each in a transaction of its own, since it locks the job."""
    with tools.database.transaction() as session:
        overdue = jobs.overdue_jobs(session, limit=LIMIT)
    for job_id in overdue:
        with tools.database.transaction() as session:
            jobs.request_cancel(session, job_id, reason="deadline", detail=_DETAIL)
    return len(overdue)
