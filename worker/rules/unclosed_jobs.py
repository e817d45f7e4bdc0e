"""Jobs whose chunks are all done, and which nobody closed."""

from store import jobs
from worker.rules.rule import Tools, one_by_one


def close_finished_jobs(tools: Tools) -> int:
    """Close each."""
    return one_by_one(tools, jobs.unclosed_jobs, jobs.close_if_done)
