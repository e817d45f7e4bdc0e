"""Put a version into production: the alias `prod` moves to it, and every process that follows the alias swaps its model."""

from datetime import UTC, datetime

from registry.catalog import PROD, Catalog, Version
from registry.errors import NoSuchAlias

ARCHIVED_AT_TAG = "archived_at"
PROMOTED_AT_TAG = "promoted_at"


def promote(catalog: Catalog, number: str, *, alias: str = PROD) -> Version:
    """Point `alias` to version `number`, and note on the version that had it when it was archived.

    Promoting the version that is in production already changes nothing. Raises `NoSuchVersion` or `RegistryUnavailable`.
    """
    promoted = catalog.version(number)
    previous = _holder(catalog, alias)
    if previous is not None and previous.number == promoted.number:
        return promoted
    now = datetime.now(UTC).isoformat(timespec="seconds")
    catalog.set_tag(promoted.number, PROMOTED_AT_TAG, now)
    catalog.set_alias(alias, promoted.number)
    if previous is not None:
        catalog.set_tag(previous.number, ARCHIVED_AT_TAG, now)
    return promoted


def _holder(catalog: Catalog, alias: str) -> Version | None:
    try:
        return catalog.aliased(alias)
    except NoSuchAlias:
        return None
