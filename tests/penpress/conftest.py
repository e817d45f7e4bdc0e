"""A home with a tiny model in its cache, pages to classify, and the command line as a function."""

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from penpress import cli
from registry.cache import BundleCache, Pointer
from registry.catalog import PROD
from store.settings import Settings
from tests.pictures import LIGHT, png

MakePage = Callable[..., Path]


@dataclass(frozen=True)
class Outcome:
    """What a command left: its exit code and its two streams."""

    code: int
    out: str
    err: str


Penpress = Callable[..., Outcome]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The home of this test, empty; the working directory is the folder that it lies in."""
    folder = tmp_path / "home"
    monkeypatch.setenv("PENPRESS_HOME", str(folder))
    monkeypatch.chdir(tmp_path)
    return folder


@pytest.fixture
def model(home: Path, tiny_bundle: Path) -> str:
    """The version of the tiny model, which the home's cache holds as the one in production."""
    settings = Settings()
    cache = BundleCache(settings.models_dir, settings.mlflow_uri, PROD)
    cache.add_copy("7", tiny_bundle)
    cache.write_pointer(Pointer(version="7", at=0))
    return "7"


@pytest.fixture
def make_page(tmp_path: Path) -> MakePage:
    """Write a page of one grey level under the given name."""

    def make(name: str, level: int = LIGHT) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(png(level))
        return path

    return make


@pytest.fixture
def penpress(home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Penpress:
    """Run the command line in this process."""

    def run(*arguments: str | Path) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["penpress", *map(str, arguments)])
        with pytest.raises(SystemExit) as exit_info:
            cli.main()
        captured = capsys.readouterr()
        return Outcome(int(exit_info.value.code or 0), captured.out, captured.err)

    return run


@pytest.fixture
def nothing_left(tmp_path: Path) -> Iterator[None]:
    """After the test no process is left whose command line or environment speaks of its folder."""
    yield
    others = [process for process in psutil.process_iter() if process != psutil.Process()]
    assert [process for process in others if _speaks_of(process, tmp_path)] == []


def _speaks_of(process: psutil.Process, folder: Path) -> bool:
    try:
        words = [*process.cmdline(), *process.environ().values()]
    except psutil.Error:
        return False
    return any(str(folder) in word for word in words)
