"""The model in production, as one process holds it.

A process that called `start` follows the alias: a new version is downloaded, verified, loaded, tried and warmed up beside the
old one, then swapped in between two calls of `get`. Whatever fails on the way leaves the old model in place. Of all processes
on a machine one asks MLflow; the others read what it noted in the cache, so that they need not import MLflow at all.

Make a `CurrentModel` before or after a fork, but start it and load from it after.
"""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from inference.classifier import Device
from registry.cache import BundleCache, Pointer
from registry.catalog import PROD, Catalog
from registry.errors import NoModel, RegistryError
from registry.loading import LoadedModel, ModelLoader
from registry.locking import Leadership

__all__ = ["CurrentModel", "LoadedModel", "NoModel", "ServingStatus"]

_LONGEST_PAUSE_SECONDS = 60.0
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ServingStatus:
    """How following the alias goes in this process: what serves since when (aware UTC), and what went wrong last, if it still
    does. `swaps` and `failures` count from the start of the process.
    """

    version: str | None
    loaded_at: datetime | None
    last_error: str | None
    last_error_at: datetime | None
    swaps: int
    failures: int


@dataclass(frozen=True, slots=True)
class _Setback:
    """A version in production that could not be loaded, and when to try again (monotonic seconds)."""

    version: str
    bundle_sha256: str | None
    failure: str
    pause_seconds: float
    retry_at: float

    def holds_back(self, pointer: Pointer) -> bool:
        return self.concerns(pointer) and time.monotonic() < self.retry_at

    def concerns(self, pointer: Pointer) -> bool:
        return (self.version, self.bundle_sha256) == (pointer.version, pointer.bundle_sha256)


class CurrentModel:
    """The model that `alias` points to at `tracking_uri`. Safe to share between threads."""

    def __init__(
        self,
        *,
        tracking_uri: str,
        cache_dir: Path,
        device: Device = "auto",
        threads: int = 1,
        poll_seconds: float = 1.0,
        alias: str = PROD,
        labels: Sequence[str] | None = None,
    ) -> None:
        """Nothing is read, imported or started yet; `threads` are those of onnxruntime, for each model.

        A model with other `labels` than these is refused.
        """
        self.last_error: str | None = None
        self._last_error_at: datetime | None = None
        self._loaded_at: datetime | None = None
        self._swaps = self._failures = 0
        self._catalog = Catalog(tracking_uri)
        self._cache = BundleCache(cache_dir, tracking_uri, alias)
        self._loader = ModelLoader(self._catalog, self._cache, device=device, threads=threads, labels=labels)
        self._poll_seconds, self._alias = poll_seconds, alias
        self._leadership = Leadership(self._cache.directory / ".leader")
        self._current: LoadedModel | None = None
        self._setback: _Setback | None = None
        self._following = threading.Lock()
        self._stopped = threading.Event()
        self._follower: threading.Thread | None = None

    def start(self) -> None:
        """Load the last version known to be in production from the disk, if there is one, and follow the alias from now on.

        Never waits for the registry and never fails: what went wrong is in `last_error`.
        """
        self._stopped.clear()
        self.warm_up()
        self._follower = threading.Thread(target=self._run, name="model-follower", daemon=True)
        self._follower.start()

    def warm_up(self) -> None:
        """Load the last version known to be in production, if it is on the disk; the registry is not asked.

        Should it not be there, or be no good, the one that served last is loaded: a restart must not cost the old model.
        """
        self._serve_from_disk(self._cache.read_pointer())
        if self._current is None:
            self._serve_from_disk(self._cache.read_served())

    def stop(self) -> None:
        """Follow the alias no longer; the model stays loaded."""
        self._stopped.set()
        if self._follower is not None:
            self._follower.join(timeout=self._poll_seconds + 10)
        self._leadership.resign()

    def get(self) -> LoadedModel:
        """The model in production. Raises `NoModel` until the first one is loaded."""
        current = self._current
        if current is None:
            raise NoModel(f"{NoModel.__doc__} {self.last_error or ''}".strip())
        return current

    def catch_up(self) -> LoadedModel:
        """The model in production after a look at where the alias is now, for a process that does not follow it.

        While that version cannot be loaded it is the one from before, as for those who follow. Raises what went wrong if there
        is none.
        """
        error = self._follow(self._resolve)
        if error is not None and self._current is None:
            raise error
        return self.get()

    def status(self) -> ServingStatus:
        """How following the alias goes in this process."""
        current = self._current
        return ServingStatus(
            version=current.version if current else None,
            loaded_at=self._loaded_at,
            last_error=self.last_error,
            last_error_at=self._last_error_at,
            swaps=self._swaps,
            failures=self._failures,
        )

    def load(self, version: str) -> LoadedModel:
        """A particular version: from memory (the last two), the disk or the registry.

        Raises `NoSuchVersion`, `RegistryUnavailable`, `WrongLabels`, a `BundleError` or a `ClassifierError`.
        """
        return self._loader.load(version)

    def _resolve(self) -> Pointer:
        """Which version is in production now; while the registry is down, which one last was. Raises `NoModel`.

        What a living follower on this machine noted is taken as it is, and so is a note younger than two polls.
        """
        noted = self._cache.read_pointer()
        if noted is not None and (self._is_fresh(noted) or self._leadership.is_taken()):
            return noted
        try:
            return self._ask()
        except RegistryError as error:
            if noted is None:
                raise NoModel(f"{NoModel.__doc__} {error}") from error
            return noted

    def _serve_from_disk(self, known: Pointer | None) -> None:
        if known is not None and self._cache.bundle(known.version, bundle_sha256=known.bundle_sha256) is not None:
            self._follow(lambda: known)

    def _run(self) -> None:
        while True:
            self._follow(self._learn)
            if self._stopped.wait(self._poll_seconds):
                return

    def _follow(self, learn: Callable[[], Pointer]) -> Exception | None:
        """Swap in the version that `learn` names, if it is not there already; gives what went wrong."""
        with self._following:
            try:
                pointer = learn()
                if self._setback is not None and self._setback.holds_back(pointer):
                    self._show_failure(self._setback.failure)
                else:
                    model = self._load(pointer)
                    self.last_error = self._last_error_at = None
                    self._swap_in(model)
            except Exception as error:  # the follower must outlive whatever a registry or a new graph does
                self._failures += 1
                self._show_failure(_sentence(error))
                return error
            return None

    def _load(self, pointer: Pointer) -> LoadedModel:
        try:
            model = self._loader.load(pointer.version, bundle_sha256=pointer.bundle_sha256)
        except Exception as error:
            self._setback = self._next_setback(pointer, _sentence(error))
            raise
        self._setback = None
        return model

    def _next_setback(self, pointer: Pointer, failure: str) -> _Setback:
        """Ever longer pauses, since each attempt reads the whole bundle and runs it."""
        before = self._setback
        pause = 2 * before.pause_seconds if before is not None and before.concerns(pointer) else self._poll_seconds
        pause = min(pause, _LONGEST_PAUSE_SECONDS)
        return _Setback(pointer.version, pointer.bundle_sha256, failure, pause, time.monotonic() + pause)

    def _swap_in(self, model: LoadedModel) -> None:
        if model is self._current:
            return
        self._current, self._loaded_at = model, datetime.now(UTC)
        self._swaps += 1
        with suppress(OSError):  # the note is for the next start only
            self._cache.write_served(Pointer(version=model.version, bundle_sha256=model.bundle_sha256, at=time.time()))

    def _show_failure(self, failure: str) -> None:
        if failure != self.last_error:
            _log.warning("The model in production could not be loaded: %s", failure)
            self._last_error_at = datetime.now(UTC)
        self.last_error = failure

    def _learn(self) -> Pointer:
        """Which version is in production: from MLflow for the follower that leads, from its note for the others."""
        noted = None if self._leadership.claim() else self._cache.read_pointer()
        return noted or self._ask()

    def _ask(self) -> Pointer:
        found = self._catalog.aliased(self._alias)
        pointer = Pointer(version=found.number, bundle_sha256=found.bundle_sha256, at=time.time())
        self._fetch(pointer)
        self._cache.write_pointer(pointer)
        return pointer

    def _fetch(self, pointer: Pointer) -> None:
        """Whoever reads the note shall find the bundle beside it, and need neither MLflow nor a download of its own."""
        if self._setback is None or not self._setback.concerns(pointer):
            with suppress(Exception):  # whoever loads it says what is wrong
                self._loader.fetch(pointer.version, bundle_sha256=pointer.bundle_sha256)

    def _is_fresh(self, pointer: Pointer) -> bool:
        return 0 <= time.time() - pointer.at < 2 * self._poll_seconds


def _sentence(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
