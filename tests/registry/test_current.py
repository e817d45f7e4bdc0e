"""The model in production follows its alias, and survives whatever the registry does."""

import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from registry.bootstrap import ensure_model
from registry.cache import BundleCache
from registry.catalog import Catalog
from registry.current import CurrentModel, NoModel
from registry.errors import NoSuchVersion
from registry.promotion import promote
from tests.registry.conftest import MakeBundle

POLL_SECONDS = 0.05


@pytest.fixture
def make_current(tracking_uri: str, cache_dir: Path) -> Iterator[Callable[..., CurrentModel]]:
    made: list[CurrentModel] = []

    def make(*, poll_seconds: float = POLL_SECONDS) -> CurrentModel:
        made.append(CurrentModel(tracking_uri=tracking_uri, cache_dir=cache_dir, device="cpu", poll_seconds=poll_seconds))
        return made[-1]

    yield make
    for current in made:
        current.stop()


MakeCurrent = Callable[..., CurrentModel]


def release(tracking_uri: str, directory: Path) -> str:
    catalog = Catalog(tracking_uri)
    return promote(catalog, catalog.register_bundle(directory, parameters={}, tags={}).number).number


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


def serves(current: CurrentModel, version: str) -> Callable[[], bool]:
    def check() -> bool:
        try:
            return current.get().version == version
        except NoModel:
            return False

    return check


def test_a_moved_alias_is_followed(tracking_uri: str, make_bundle: MakeBundle, make_current: MakeCurrent) -> None:
    black = np.zeros((32, 64, 3), dtype=np.uint8)
    release(tracking_uri, make_bundle("a", bias=-5))
    current = make_current()
    current.start()
    wait_until(serves(current, "1"))
    assert current.get().classifier.classify([black])[0].predicted_class == "handwritten"
    release(tracking_uri, make_bundle("b", bias=5))
    wait_until(serves(current, "2"))
    assert current.get().classifier.classify([black])[0].predicted_class == "printed"
    assert current.load("1").classifier.classify([black])[0].predicted_class == "handwritten"


def test_a_damaged_version_leaves_the_old_one(
    tracking_uri: str, make_bundle: MakeBundle, make_current: MakeCurrent, tmp_path: Path
) -> None:
    release(tracking_uri, make_bundle("a"))
    current = make_current()
    current.start()
    wait_until(serves(current, "1"))
    catalog = Catalog(tracking_uri)
    number = catalog.register_bundle(make_bundle("b"), parameters={}, tags={}).number
    for graph in (tmp_path / "home" / "mlartifacts").rglob("model.onnx"):
        graph.write_bytes(b"damaged")
    catalog.set_alias("prod", number)  # past the gates, as somebody in MLflow's own interface could
    wait_until(lambda: current.last_error is not None)
    assert "ChecksumMismatch" in (current.last_error or "")
    assert current.get().version == "1"


def test_without_the_registry_the_cache_serves(
    tracking_uri: str, cache_dir: Path, make_bundle: MakeBundle, make_current: MakeCurrent, tmp_path: Path
) -> None:
    ensure_model(tracking_uri, cache_dir, starter=make_bundle())
    shutil.rmtree(tmp_path / "home")
    (tmp_path / "home").touch()  # nothing can be made there again
    current = make_current()
    current.start()
    assert current.get().version == "1"
    wait_until(lambda: current.last_error is not None)
    assert current.get().version == "1"
    assert current.catch_up().version == "1"
    assert current.load("1").version == "1"


def test_a_damaged_cache_is_fetched_again(
    tracking_uri: str, cache_dir: Path, make_bundle: MakeBundle, make_current: MakeCurrent
) -> None:
    ensure_model(tracking_uri, cache_dir, starter=make_bundle())
    next(cache_dir.rglob("model.onnx")).write_bytes(b"damaged")
    assert make_current().load("1").version == "1"


def test_no_model_says_so(make_current: MakeCurrent) -> None:
    current = make_current()
    with pytest.raises(NoModel):
        current.get()
    with pytest.raises(NoModel):
        current.catch_up()
    with pytest.raises(NoSuchVersion):
        current.load("7")


def test_two_processes_may_fetch_a_version_at_once(
    tracking_uri: str, cache_dir: Path, make_bundle: MakeBundle, make_current: MakeCurrent
) -> None:
    directory = make_bundle()
    first, second = (BundleCache(cache_dir, tracking_uri, "prod") for _ in range(2))

    def fetch_while_the_other_finishes(destination: Path) -> None:
        second.add_copy("1", directory)
        shutil.copytree(directory, destination)

    assert first.add("1", fetch_while_the_other_finishes).manifest.name == "tiny"
    assert [path.name for path in first.directory.iterdir() if path.is_dir()] == ["1"]


def test_of_two_followers_one_asks_the_registry(
    tracking_uri: str, cache_dir: Path, make_bundle: MakeBundle, make_current: MakeCurrent, monkeypatch: pytest.MonkeyPatch
) -> None:
    ensure_model(tracking_uri, cache_dir, starter=make_bundle())
    asked: list[Catalog] = []
    aliased = Catalog.aliased
    monkeypatch.setattr(Catalog, "aliased", lambda catalog, *names: asked.append(catalog) or aliased(catalog, *names))
    followers = [make_current(poll_seconds=0.05), make_current(poll_seconds=0.05)]
    for follower in followers:
        follower.start()
        wait_until(serves(follower, "1"))
    wait_until(lambda: len(asked) >= 3)
    assert len(set(map(id, asked))) == 1


def test_what_a_living_follower_noted_is_not_asked_again(
    tracking_uri: str, cache_dir: Path, make_bundle: MakeBundle, make_current: MakeCurrent, monkeypatch: pytest.MonkeyPatch
) -> None:
    ensure_model(tracking_uri, cache_dir, starter=make_bundle())
    leader, other = make_current(poll_seconds=60), make_current(poll_seconds=0)
    leader.start()
    wait_until(serves(leader, "1"))
    wait_until(lambda: leader._leadership._held is not None)  # to ask the lock itself could be what keeps it from the leader
    monkeypatch.setattr(Catalog, "aliased", lambda *_: pytest.fail("MLflow was asked"))
    assert other.catch_up().version == "1"


def test_a_cached_version_is_loaded_without_mlflow(tracking_uri: str, cache_dir: Path, make_bundle: MakeBundle) -> None:
    ensure_model(tracking_uri, cache_dir, starter=make_bundle())
    program = f"""
import sys
from pathlib import Path
from registry.current import CurrentModel
current = CurrentModel(tracking_uri={tracking_uri!r}, cache_dir=Path({str(cache_dir)!r}), poll_seconds=60)
assert current.catch_up().version == "1"
assert current.load("1").version == "1"
assert not [name for name in sys.modules if name.split(".")[0] in ("mlflow", "torch")]
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


def test_who_reads_the_note_finds_the_bundle_beside_it(
    tracking_uri: str, cache_dir: Path, make_bundle: MakeBundle, make_current: MakeCurrent, monkeypatch: pytest.MonkeyPatch
) -> None:
    release(tracking_uri, make_bundle("a"))
    fetched: list[str] = []
    download = Catalog.download

    def watched(catalog: Catalog, number: str, destination: Path) -> None:
        if threading.current_thread().name == "model-follower":  # a promotion fetches too, to try what it promotes
            fetched.append(number)
        download(catalog, number, destination)

    monkeypatch.setattr(Catalog, "download", watched)
    leader, other = make_current(), make_current()
    for follower in (leader, other):
        follower.start()
        wait_until(serves(follower, "1"))
    release(tracking_uri, make_bundle("b"))
    for follower in (leader, other):
        wait_until(serves(follower, "2"))
    assert fetched == ["1", "2"]
