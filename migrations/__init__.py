"""The database's schema through time: Alembic revisions, run by `penpress up` and by `python -m migrations`."""

from pathlib import Path

from alembic import command
from alembic.config import Config


def alembic_config(database_url: str) -> Config:
    """Alembic's configuration without an ini file, for `database_url`."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.attributes["database_url"] = database_url
    return config


def upgrade(database_url: str) -> None:
    """Bring the schema to the newest revision. Safe to run twice at once: an advisory lock lets one pass after the other."""
    command.upgrade(alembic_config(database_url), "head")
