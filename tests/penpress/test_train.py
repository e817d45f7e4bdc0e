"""What `penpress train` and its kin refuse is one sentence, and nothing is left behind."""

import sys
from pathlib import Path

import pytest

from tests.penpress.conftest import Penpress


@pytest.mark.parametrize("command", ["train", "cross-validate"])
def test_a_number_beyond_its_limits(penpress: Penpress, command: str) -> None:
    outcome = penpress(command, "lines", "--out", "run", "--epochs", "0")
    assert (outcome.code, outcome.out, outcome.err) == (2, "", "--epochs is 0; it must be at least 1.\n")


@pytest.mark.parametrize("option", ["--weights", "--golden"])
def test_a_file_that_is_not_there(penpress: Penpress, option: str) -> None:
    outcome = penpress("train", "lines", "--out", "run", option, "none")
    assert outcome.code == 2
    assert f"Invalid value for '{option}': file 'none' does not exist." in " ".join(outcome.err.replace("│", " ").split())


def test_a_data_set_that_is_not_there(penpress: Penpress, tmp_path: Path) -> None:
    outcome = penpress("train", "lines", "--out", "run")
    assert (outcome.code, outcome.err) == (2, "There is no data set in lines; make one with `penpress data import`.\n")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "words",
    [
        ("train", "lines", "--out", "run"),
        ("cross-validate", "lines", "--out", "run"),
        ("data", "import", "folder", ".", "--out", "data"),
        ("data", "audit", "lines", "--out", "review"),
        ("registry", "compare", "prod", "1", "lines"),
    ],
    ids=" ".join,
)
def test_an_installation_without_the_extra(penpress: Penpress, words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    outcome = penpress(*words)
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err == (
        "Training takes packages that the service does without: install penpress[training], or run make check in a clone. "
        "Missing: torch.\n"
    )
