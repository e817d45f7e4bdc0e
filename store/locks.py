"""Advisory locks, so that one process does what many could."""

from sqlalchemy import text
from sqlalchemy.orm import Session

_SWEEP = 0x73776570


def try_sweep_lock(session: Session) -> bool:
    """Whether this session may sweep; held until its transaction ends."""
    return bool(session.scalar(text("SELECT pg_try_advisory_xact_lock(:lock)"), {"lock": _SWEEP}))
