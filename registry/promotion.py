"""Put a version into production: the alias `prod` moves to it, and every process that follows the alias swaps its model.

What is recorded are tags of the versions: when, by whom and why a version was promoted or archived, and which gates were
overruled. The alias moves last, so that whatever fails before leaves production as it was, and promoting again completes it.
One process at a time moves an alias of a local store; on a tracking server a promotion looks at the holder again, just before.
"""

import getpass
import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from registry.catalog import PREVIOUS, PROD, Catalog, Version
from registry.errors import (
    InProduction,
    NoPrevious,
    NoSuchAlias,
    ProductionChanged,
    PromotionError,
    PromotionRefused,
    ReasonMissing,
)
from registry.examination import Findings, check_servable, examine
from registry.locking import one_at_a_time

PROMOTED_AT_TAG, PROMOTED_BY_TAG, PROMOTED_WHY_TAG = "promoted_at", "promoted_by", "promoted_why"
ARCHIVED_AT_TAG, ARCHIVED_BY_TAG, ARCHIVED_WHY_TAG = "archived_at", "archived_by", "archived_why"
MARK_TAGS = (PROMOTED_AT_TAG, PROMOTED_BY_TAG, PROMOTED_WHY_TAG, ARCHIVED_AT_TAG, ARCHIVED_BY_TAG, ARCHIVED_WHY_TAG)
OVERRULED_TAG = "overruled_gates"
AGREEMENT_TAG = "agreement_with_prod"

Tags = Mapping[str, str | None]
"""Tags to be set, and by None those to be taken off."""


@dataclass(frozen=True, slots=True)
class Mark:
    """What was done to a version: when (aware UTC), by whom and why, as far as it was recorded."""

    at: datetime
    by: str | None
    why: str | None


def promotion_of(version: Version) -> Mark | None:
    """When, by whom and why a version was last put into production, if it ever was."""
    return _mark(version, PROMOTED_AT_TAG, PROMOTED_BY_TAG, PROMOTED_WHY_TAG)


def archival_of(version: Version) -> Mark | None:
    """When, by whom and why a version was put aside, if it is."""
    return _mark(version, ARCHIVED_AT_TAG, ARCHIVED_BY_TAG, ARCHIVED_WHY_TAG)


def _mark(version: Version, at: str, by: str, why: str) -> Mark | None:
    tags = version.tags
    return Mark(datetime.fromisoformat(tags[at]), tags.get(by), tags.get(why)) if at in tags else None


def promote(
    catalog: Catalog,
    number: str,
    *,
    alias: str = PROD,
    findings: Findings | None = None,
    force: bool = False,
    reason: str | None = None,
) -> Version:
    """Point `alias` to version `number` if every gate lets it, or by `force` with a `reason` although some do not.

    `findings` are what the gates say, where they were asked before. The version that was in production gets the alias
    `previous` and is marked archived. Promoting the one that is in production already changes nothing.

    Raises `ProductionChanged` where that is another one than the gates looked at, another `PromotionError`, a `BundleError`
    if the version's bundle is damaged, `NoSuchVersion` or `RegistryUnavailable`.
    """
    if force and not (reason or "").strip():
        raise ReasonMissing
    candidate = catalog.version(number)
    holder = holder_of(catalog, alias)
    if holder is not None and holder.number == candidate.number:
        return candidate
    findings = findings or examine(catalog, candidate, holder)
    if findings.objections and not force:
        raise PromotionRefused(
            f"Version {candidate.number} was not promoted: {findings.sentence}. --force --reason … overrules that."
        )
    notes = {
        PROMOTED_WHY_TAG: reason,
        OVERRULED_TAG: findings.sentence or None,
        AGREEMENT_TAG: findings.agreement_sentence,
    }
    with one_at_a_time(catalog.tracking_uri):
        holder = _holder_as_examined(catalog, alias, findings)
        _move(catalog, candidate, holder, alias, notes, why=f"replaced by version {candidate.number}")
    return catalog.version(candidate.number)


def rollback(catalog: Catalog, *, reason: str | None = None) -> Version:
    """Put the version with the alias `previous` back into production, and give that alias to the one that was there.

    The gates are not asked again, only whether the bundle can be served. Raises `NoPrevious`, `PromotionRefused`, a
    `BundleError` if the bundle is damaged, or `RegistryUnavailable`.
    """
    with one_at_a_time(catalog.tracking_uri):
        previous, holder = holder_of(catalog, PREVIOUS), holder_of(catalog)
        if previous is None:
            raise NoPrevious
        if holder is not None and holder.number == previous.number:
            raise NoPrevious(f"Version {previous.number} is both previous and in production; promote another one.")
        check_servable(catalog, previous)
        why = f"rolled back to version {previous.number}"
        notes = {PROMOTED_WHY_TAG: reason or "rolled back", OVERRULED_TAG: None, AGREEMENT_TAG: None}
        _move(catalog, previous, holder, PROD, notes, why=f"{why}: {reason}" if reason else why)
    return catalog.version(previous.number)


def archive(catalog: Catalog, number: str, *, reason: str | None = None) -> Version:
    """Mark a version archived. Raises `InProduction`, `PromotionError` if it is archived already, or `NoSuchVersion`."""
    with one_at_a_time(catalog.tracking_uri):
        version, holder = catalog.version(number), holder_of(catalog)
        if holder is not None and holder.number == version.number:
            raise InProduction
        if ARCHIVED_AT_TAG in version.tags:
            raise PromotionError(f"Version {version.number} is archived already, since {version.tags[ARCHIVED_AT_TAG]}.")
        _retag(catalog, version, _archived(reason or "by hand"))
    return catalog.version(version.number)


def holder_of(catalog: Catalog, alias: str = PROD) -> Version | None:
    """The version that has `alias`, if there is one. Raises `RegistryUnavailable`."""
    try:
        return catalog.aliased(alias)
    except NoSuchAlias:
        return None


def _holder_as_examined(catalog: Catalog, alias: str, findings: Findings) -> Version | None:
    holder = holder_of(catalog, alias)
    if (holder.number if holder else None) != findings.champion:
        raise ProductionChanged
    return holder


def _move(catalog: Catalog, to: Version, holder: Version | None, alias: str, notes: Tags, *, why: str) -> None:
    lifted = {ARCHIVED_AT_TAG: None, ARCHIVED_BY_TAG: None, ARCHIVED_WHY_TAG: None}
    _retag(catalog, to, {PROMOTED_AT_TAG: _now(), PROMOTED_BY_TAG: _who(), **notes, **lifted})
    if holder is not None:
        _retag(catalog, holder, _archived(why))
        catalog.set_alias(PREVIOUS, holder.number)
    catalog.set_alias(alias, to.number)


def _archived(why: str) -> Tags:
    return {ARCHIVED_AT_TAG: _now(), ARCHIVED_BY_TAG: _who(), ARCHIVED_WHY_TAG: why}


def _retag(catalog: Catalog, version: Version, tags: Tags) -> None:
    for key, value in tags.items():
        if value is not None:
            catalog.set_tag(version.number, key, value)
        elif key in version.tags:
            catalog.delete_tag(version.number, key)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _who() -> str:
    """The account and the machine, as far as they have names: in a container the account has none."""
    try:
        account = getpass.getuser()
    except (KeyError, OSError):
        account = f"uid {os.getuid()}"
    return f"{account}@{platform.node()}"
