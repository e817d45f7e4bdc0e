"""Chunks whose worker fell silent: another one gets them."""

import logging

from store import chunks
from worker.rules.rule import LIMIT, Tools

_log = logging.getLogger(__name__)


def recover_expired_chunks(tools: Tools) -> int:
    """Take each from its worker; it counts as never announced, so that the rule for chunks without a message sends one."""
    with tools.database.transaction() as session:
        expired = chunks.expired_chunks(session, limit=LIMIT)
    for chunk_id in expired:
        with tools.database.transaction() as session:
            chunks.recover_chunk(
                session,
                chunk_id,
                max_attempts=tools.settings.max_attempts,
                grace_seconds=tools.settings.lease_seconds,
            )
        _log.warning("the worker that had chunk %s is silent", chunk_id)
    return len(expired)
