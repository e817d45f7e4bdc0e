"""Alembic runs this file for every command."""

from alembic import context
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from store.models import Job

_LOCK = 0x70656E70  # any fixed number; two processes that migrate at once must agree on it


def run() -> None:
    """Migrate in one transaction, under an advisory lock."""
    engine = create_engine(context.config.attributes["database_url"], poolclass=NullPool)
    with engine.connect() as connection:
        context.configure(connection=connection, target_metadata=Job.metadata, compare_type=True, compare_server_default=True)
        with context.begin_transaction():
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
            context.run_migrations()


run()
