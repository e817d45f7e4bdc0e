"""Advisory locks, so that one process does what many could."""

from sqlalchemy import text
from sqlalchemy.orm import Session

_SWEEP = 0x73776570
_NOTHING = text("SELECT 1")
# The lock's transaction idles while the rules work in transactions of their own; a sweep that froze is still given up.
_PATIENCE = text("SELECT set_config('idle_in_transaction_session_timeout', '60s', true)")


def try_sweep_lock(session: Session) -> bool:
    """Whether this session may sweep; held until its transaction ends."""
    session.execute(_PATIENCE)
    return bool(session.scalar(text("SELECT pg_try_advisory_xact_lock(:lock)"), {"lock": _SWEEP}))


def keep_sweep_lock(session: Session) -> None:
    """Begin the time anew after which its idle transaction is given up. Raises SQLAlchemy's error when that has happened."""
    session.execute(_NOTHING)
