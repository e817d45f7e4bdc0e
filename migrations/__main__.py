"""`python -m migrations`: bring the database that the settings name to the newest schema."""

from migrations import upgrade
from store.database import DatabaseNotConfigured
from store.settings import Settings


def main() -> None:
    """Raises `SystemExit` with one sentence when no database is configured."""
    url = Settings().database_url
    if not url:
        raise SystemExit(DatabaseNotConfigured.__doc__)
    upgrade(url)


if __name__ == "__main__":
    main()
