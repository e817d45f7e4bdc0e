import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from training import __main__, cross_validation
from training.cross_validation import HeldOut
from training.data import read_data_set
from training.results import Counted, UnseenSources


def test_what_cross_validation_counts_is_written_for_the_card(
    make_data_set: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = make_data_set(images=2)
    samples = read_data_set(data, ("handwritten", "printed"))["train"]
    held_out = HeldOut(samples, np.array([[1.0, 0.0]] * len(samples)))
    monkeypatch.setattr(cross_validation, "leave_sources_out", lambda *given, **named: iter([held_out]))
    out = tmp_path / "unseen.json"
    command = ["training", "cross-validate", str(data), "--out", str(tmp_path), "--epochs", "3", "--json", str(out)]
    monkeypatch.setattr(sys, "argv", command)
    with pytest.raises(SystemExit) as left:
        __main__.main()
    assert not left.value.code
    found = UnseenSources.read(out)
    assert found.sources == {"example.org/a": Counted(images=4, right=2)}
    assert (found.folds, found.parameters["epochs"]) == (1, "3")
