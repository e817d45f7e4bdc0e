"""Jobs that were cancelled while a worker held one of their chunks, and that worker was lost."""

from store import jobs
from worker.rules.rule import Tools, one_by_one


def settle_cancelled_jobs(tools: Tools) -> int:
    """Take each to its end."""
    return one_by_one(tools, jobs.unsettled_jobs, jobs.settle_cancelled)
