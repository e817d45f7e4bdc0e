"""A version that is no good leaves the old one in place, says why, and is tried again ever more rarely."""

import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from inference.classifier import Classifier
from registry.cache import BundleCache, Pointer
from registry.catalog import Catalog, log_bundle
from registry.current import CurrentModel
from registry.errors import NoModel, RegistryUnavailable
from tests.registry.conftest import MakeBundle

LABELS = ("handwritten", "printed")
BAD: dict[str, tuple[dict[str, Any], str]] = {
    "other labels": ({"labels": ("blank", "text")}, "WrongLabels: Version 2 answers blank or text; this service keeps"),
    "another golden class": ({"bias": 5, "golden": (0.99, 0.01)}, "GoldenMismatch: The model does not answer here"),
}

MakeCurrent = Callable[..., CurrentModel]


@pytest.fixture
def make_current(tracking_uri: str, cache_dir: Path) -> Iterator[MakeCurrent]:
    made: list[CurrentModel] = []

    def make(**changes: Any) -> CurrentModel:
        options = {"device": "cpu", "poll_seconds": 0.05, "labels": LABELS} | changes
        made.append(CurrentModel(tracking_uri=tracking_uri, cache_dir=cache_dir, **options))
        return made[-1]

    yield make
    for current in made:
        current.stop()


@pytest.fixture
def release(tracking_uri: str) -> Callable[[Path], str]:
    """Register a bundle and point `prod` to it, without the gates of a promotion."""

    def release(directory: Path) -> str:
        catalog = Catalog(tracking_uri)
        number = catalog.register_bundle(directory, parameters={}, tags={}).number
        catalog.set_alias("prod", number)
        return number

    return release


Release = Callable[[Path], str]


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


@pytest.mark.parametrize("kind", BAD)
def test_a_version_that_is_no_good_leaves_the_old_one_until_a_better_comes(
    make_bundle: MakeBundle, make_current: MakeCurrent, release: Release, kind: str
) -> None:
    options, said = BAD[kind]
    release(make_bundle("good"))
    current = make_current()
    current.start()
    wait_until(lambda: current.status().version == "1")
    release(make_bundle("bad", **options))
    wait_until(lambda: current.last_error is not None)
    assert said in (current.last_error or "")
    assert (current.get().version, current.status().swaps) == ("1", 1)
    release(make_bundle("better", golden=(0.5, 0.5)))
    wait_until(lambda: current.status().version == "3")
    assert (current.last_error, current.status().swaps) == (None, 2)


def test_a_service_that_keeps_these_labels_takes_them_in_any_order(
    make_bundle: MakeBundle, make_current: MakeCurrent, release: Release
) -> None:
    release(make_bundle(labels=("printed", "handwritten")))
    assert make_current().catch_up().version == "1"


def test_a_restart_does_not_cost_the_old_model(make_bundle: MakeBundle, make_current: MakeCurrent, release: Release) -> None:
    release(make_bundle("good"))
    make_current().catch_up()
    release(make_bundle("bad", labels=("blank", "text")))
    current = make_current()
    current.start()
    assert current.get().version == "1"
    wait_until(lambda: "WrongLabels" in (current.last_error or ""))
    assert current.get().version == "1"


def test_without_an_old_one_what_went_wrong_is_raised(
    make_bundle: MakeBundle, make_current: MakeCurrent, release: Release
) -> None:
    release(make_bundle("bad", labels=("blank", "text")))
    current = make_current(poll_seconds=60)
    with pytest.raises(Exception, match="answers blank or text"):
        current.catch_up()
    with pytest.raises(NoModel, match="answers blank or text"):  # it is too early to try again
        current.catch_up()


def test_who_does_not_follow_keeps_the_old_one_too(
    make_bundle: MakeBundle, make_current: MakeCurrent, release: Release
) -> None:
    release(make_bundle("good"))
    current = make_current(poll_seconds=0.01)
    assert current.catch_up().version == "1"
    release(make_bundle("bad", labels=("blank", "text")))
    time.sleep(0.05)  # the note of version 1 is as old as it may be
    assert current.catch_up().version == "1"
    assert "WrongLabels" in (current.last_error or "")


def test_a_bad_version_is_not_loaded_at_each_poll(
    make_bundle: MakeBundle, make_current: MakeCurrent, release: Release, monkeypatch: pytest.MonkeyPatch
) -> None:
    loads: list[float] = []
    warm_up = Classifier.warm_up

    def failing(classifier: Classifier) -> None:
        if classifier.bundle.manifest.name == "bad":
            loads.append(time.monotonic())
            raise RuntimeError("the graph hates this machine")
        warm_up(classifier)

    monkeypatch.setattr(Classifier, "warm_up", failing)
    release(make_bundle("good"))
    current = make_current(poll_seconds=0.02)
    current.start()
    wait_until(lambda: current.status().version == "1")
    release(make_bundle("bad"))
    wait_until(lambda: len(loads) >= 5)
    pauses = [later - earlier for earlier, later in pairwise(loads)]
    assert pauses[-1] > 4 * 0.02
    assert current.last_error == "RuntimeError: the graph hates this machine"


def test_a_bundle_that_was_overwritten_since_it_was_registered_is_refused(
    make_bundle: MakeBundle, make_current: MakeCurrent, release: Release, tracking_uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    downloads: list[str] = []
    download = Catalog.download

    def counted(catalog: Catalog, number: str, destination: Path) -> None:
        downloads.append(number)
        download(catalog, number, destination)

    release(make_bundle("good"))
    current = make_current(poll_seconds=0.2)
    assert current.catch_up().version == "1"
    catalog = Catalog(tracking_uri)
    version = catalog.register_bundle(make_bundle("registered"), parameters={}, tags={})
    log_bundle(catalog.client, str(version.run_id), make_bundle("overwritten", bias=1.0))
    monkeypatch.setattr(Catalog, "download", counted)
    catalog.set_alias("prod", version.number)
    current.start()
    wait_until(lambda: current.last_error is not None)
    assert current.last_error == (
        "ChecksumMismatch: The bundle that the registry keeps for version 2 is not the one registered."
    )
    time.sleep(1)  # five polls
    assert (current.get().version, current.status().swaps) == ("1", 1)
    assert len(downloads) <= 5  # one for the note, then one at each of ever rarer attempts


def test_what_was_wrong_with_the_model_shows_again_when_the_registry_is_back(
    make_bundle: MakeBundle, make_current: MakeCurrent, release: Release, monkeypatch: pytest.MonkeyPatch
) -> None:
    release(make_bundle("bad", labels=("blank", "text")))
    current = make_current(poll_seconds=0.3)
    current.start()
    wait_until(lambda: "WrongLabels" in (current.last_error or ""))
    with monkeypatch.context() as patch:
        patch.setattr(Catalog, "aliased", lambda *_: (_ for _ in ()).throw(RegistryUnavailable()))
        wait_until(lambda: "RegistryUnavailable" in (current.last_error or ""))
    wait_until(lambda: "WrongLabels" in (current.last_error or ""))


def test_a_note_of_another_registry_s_bundle_is_not_taken(
    tracking_uri: str, cache_dir: Path, make_bundle: MakeBundle, make_current: MakeCurrent
) -> None:
    cache = BundleCache(cache_dir, tracking_uri, "prod")
    cache.add_copy("1", make_bundle())
    cache.write_served(Pointer(version="1", bundle_sha256="0" * 64, at=time.time()))
    current = make_current()
    current.warm_up()
    assert current.status().version is None
