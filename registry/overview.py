"""What there is: every version with its aliases, its run and what was recorded of it, for the command line and the API."""

import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass

from registry.catalog import PROD, Catalog, Version
from registry.errors import NoSuchRun, RegistryError
from registry.promotion import Mark, archival_of
from registry.runs import Run, read_run


@dataclass(frozen=True, slots=True)
class Entry:
    """A version, the aliases that point to it, and the run that made it, unless that was deleted for good."""

    version: Version
    aliases: tuple[str, ...]
    run: Run | None

    @property
    def archived(self) -> Mark | None:
        """When and why it was put aside; a version in production never is, even where a promotion was cut short."""
        return None if PROD in self.aliases else archival_of(self.version)


def read_entries(catalog: Catalog) -> list[Entry]:
    """Every version, newest first. Raises `RegistryUnavailable`."""
    aliases = catalog.aliases()
    return [_entry(catalog, version, aliases) for version in catalog.versions()]


def read_entry(catalog: Catalog, name: str = PROD) -> Entry:
    """The version with that number or alias. Raises `NoSuchVersion`, `NoSuchAlias` or `RegistryUnavailable`."""
    return _entry(catalog, catalog.find(name), catalog.aliases())


def in_production(entries: Iterable[Entry]) -> Entry | None:
    """The one with the alias `prod`."""
    return next((entry for entry in entries if PROD in entry.aliases), None)


def archived(entries: Iterable[Entry]) -> list[Entry]:
    """Those that were put aside."""
    return [entry for entry in entries if entry.archived]


class Overview:
    """The entries for a service: whoever asks, the registry is asked once in `seconds` at most, by one thread at a time.

    A failure is remembered as long as an answer, so that a registry that hangs is not asked by each request anew.
    """

    def __init__(self, catalog: Catalog, *, seconds: float) -> None:
        """Nothing is asked yet."""
        self._catalog, self._seconds = catalog, seconds
        self._asking = threading.Lock()
        self._asked_at = -seconds
        self._found: list[Entry] | RegistryError = []

    def entries(self) -> list[Entry]:
        """Every version, newest first, as of `seconds` ago or less. Raises `RegistryUnavailable`."""
        with self._asking:
            if time.monotonic() - self._asked_at >= self._seconds:
                self._found = self._ask()
                self._asked_at = time.monotonic()
            found = self._found
        if isinstance(found, RegistryError):
            raise type(found)(str(found)) from found  # a new one: each raising adds to what an error holds
        return found

    def _ask(self) -> list[Entry] | RegistryError:
        try:
            return read_entries(self._catalog)
        except RegistryError as error:
            return error


def _entry(catalog: Catalog, version: Version, aliases: dict[str, str]) -> Entry:
    pointing = tuple(sorted(alias for alias, number in aliases.items() if number == version.number))
    return Entry(version, pointing, _run(catalog, version))


def _run(catalog: Catalog, version: Version) -> Run | None:
    try:
        return read_run(catalog, version.run_id) if version.run_id else None
    except NoSuchRun:
        return None
