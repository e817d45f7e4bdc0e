"""`python -m training`, as the shell calls it."""

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from training import __main__, cross_validation
from training.cross_validation import HeldOut
from training.data import read_data_set
from training.results import Counted, UnseenSources


def left(monkeypatch: pytest.MonkeyPatch, *words: object) -> int | str | None:
    """The exit code of `python -m training` with these words."""
    monkeypatch.setattr(sys, "argv", ["training", *map(str, words)])
    with pytest.raises(SystemExit) as exit_:
        __main__.main()
    return exit_.value.code


def test_a_run_must_be_logged_somewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert left(monkeypatch, "train", tmp_path, "--out", tmp_path / "run") == 2
    assert capsys.readouterr().err == "Say where the run is to be logged, by --tracking-uri or MLFLOW_TRACKING_URI.\n"


def test_what_the_operating_system_refuses_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "lines" / "printed").mkdir(parents=True)
    (tmp_path / "file").touch()
    assert left(monkeypatch, "data", "import", "folder", tmp_path / "lines", "--out", tmp_path / "file" / "out") == 2
    err = capsys.readouterr().err
    assert err.startswith(str(tmp_path / "file"))
    assert err.endswith(": Not a directory.\n")


def test_what_cross_validation_counts_is_written_for_the_card(
    make_data_set: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = make_data_set(images=2)
    samples = read_data_set(data, ("handwritten", "printed"))["train"]
    held_out = HeldOut(samples, np.array([[1.0, 0.0]] * len(samples)))
    monkeypatch.setattr(cross_validation, "leave_sources_out", lambda *given, **named: iter([held_out]))
    out = tmp_path / "unseen.json"
    assert not left(monkeypatch, "cross-validate", data, "--out", tmp_path, "--epochs", 3, "--json", out)
    found = UnseenSources.read(out)
    assert found.sources == {"example.org/a": Counted(images=4, right=2)}
    assert (found.folds, found.parameters["epochs"]) == (1, "3")
