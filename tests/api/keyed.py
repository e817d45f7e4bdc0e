"""Keys for the tests of the API."""

from collections.abc import Iterable

from store import keys
from store.database import Database
from store.keys import KeyLimits, Scope


def make_secret(database: Database, name: str, *, scopes: Iterable[Scope] = Scope, per_minute: int | None = None) -> str:
    """The secret of a new key, with every scope unless told otherwise."""
    limits = KeyLimits(max_requests_per_minute=per_minute)
    with database.transaction() as session:
        return keys.create_key(session, name=name, scopes=scopes, limits=limits)[1]


def bearer(secret: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}"}
