"""Jobs whose planner fell silent: they are queued again."""

import logging

from store import planning
from worker.rules.rule import LIMIT, Tools

_log = logging.getLogger(__name__)


def recover_half_planned_jobs(tools: Tools) -> int:
    """Take each from its planner. The lost attempt counts: who plans it after the last one gives it up."""
    settings = tools.settings
    with tools.database.transaction() as session:
        recovered = planning.recover_planning(
            session, max_attempts=settings.max_attempts, grace_seconds=settings.lease_seconds, limit=LIMIT
        )
    for job_id in recovered:
        _log.warning("job %s was taken from a silent planner", job_id)
    return len(recovered)
