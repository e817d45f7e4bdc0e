"""How the API asks the database for keys. Nothing is remembered that could change: a revoked key is refused at once."""

import re

from store import keys
from store.database import Database
from store.keys import FoundKey

SECRET_SHAPE = re.compile(re.escape(keys.SECRET_PREFIX) + r"[A-Za-z0-9_-]{43}")


class Keyring:
    """The keys of one database. Every method may raise SQLAlchemy's errors."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._has_keys = False

    @property
    def has_seen_keys(self) -> bool:
        """Whether `has_keys` is known to be true, without asking."""
        return self._has_keys

    def has_keys(self) -> bool:
        """Whether there is any key. Keys are revoked, never deleted: once there is one, nobody needs to ask again."""
        if not self._has_keys:
            with self._database.statement() as connection:
                self._has_keys = keys.has_keys(connection)
        return self._has_keys

    def find(self, secret: str) -> FoundKey | None:
        """The key of that secret; what is not even shaped like one is not looked for."""
        if not SECRET_SHAPE.fullmatch(secret):
            return None
        with self._database.single_statement() as session:
            return keys.find_key(session, secret)
