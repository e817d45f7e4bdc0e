"""Jobs whose chunks are all done, and which nobody closed."""

from store import jobs
from worker.rules.rule import LIMIT, Tools


def close_finished_jobs(tools: Tools) -> int:
    """Close each in a transaction of its own, since it locks the job."""
    with tools.database.transaction() as session:
        unclosed = jobs.unclosed_jobs(session, limit=LIMIT)
    for job_id in unclosed:
        with tools.database.transaction() as session:
            jobs.close_if_done(session, job_id)
    return len(unclosed)
