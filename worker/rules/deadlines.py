"""Jobs whose deadline has passed: they are cancelled."""

from functools import partial

from store import jobs
from worker.rules.rule import Tools, one_by_one

_DETAIL = "Its deadline (Cancel-After) passed before it was done."


def cancel_overdue_jobs(tools: Tools) -> int:
    """Cancel each."""
    return one_by_one(tools, jobs.overdue_jobs, partial(jobs.request_cancel, reason="deadline", detail=_DETAIL))
