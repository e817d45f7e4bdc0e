"""Chunks whose worker fell silent: another one gets them."""

import logging
import uuid

from sqlalchemy.orm import Session

from store import chunks
from worker.rules.rule import Tools, one_by_one

_log = logging.getLogger(__name__)


def recover_expired_chunks(tools: Tools) -> int:
    """Take each from its worker; it counts as never announced, so that the rule for chunks without a message sends one."""
    settings = tools.settings

    def recover(session: Session, chunk_id: uuid.UUID) -> None:
        _log.warning("the worker that had chunk %s is silent", chunk_id)
        chunks.recover_chunk(session, chunk_id, max_attempts=settings.max_attempts, grace_seconds=settings.lease_seconds)

    return one_by_one(tools, chunks.expired_chunks, recover)
