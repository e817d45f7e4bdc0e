import sys
from pathlib import Path

import pytest

from benchmarks import robustness
from benchmarks.variations import PLAIN, VARIATIONS
from inference.review import ReviewReason
from training.results import Robustness


def test_each_variation_of_the_test_lines_is_answered(
    data: Path, tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "results" / "robustness.json"
    command = ["robustness", str(tiny_bundle), "--data", str(data), "--json", str(out), "--processes", "1"]
    monkeypatch.setattr(sys, "argv", command)
    robustness.main()
    found = Robustness.read(out).variations
    assert list(found) == list(VARIATIONS)
    assert (found[PLAIN].images, found[PLAIN].accuracy, found[PLAIN].changed) == (4, 0.75, 0.0)
    assert (found["grey negative"].accuracy, found["grey negative"].changed) == (0.25, 1.0)
    shown = capsys.readouterr().out
    assert all(name in shown for name in VARIATIONS)


def test_errors_count_among_those_alone_that_nobody_looks_at() -> None:
    plain = [("printed", None)] * 4
    varied = [("printed", None), ("handwritten", None), ("handwritten", ReviewReason.BLANK), ("printed", ReviewReason.BLANK)]
    found = robustness.summarised({PLAIN: plain, "varied": varied}, ["printed"] * 4)["varied"]
    assert (found.accuracy, found.changed, found.share, found.error_when_sure) == (0.5, 0.5, 0.5, 0.5)
    assert found.reasons == {"blank": 2}


def test_no_errors_where_a_person_looks_at_everything() -> None:
    doubted = [("printed", ReviewReason.LOW_CONFIDENCE)]
    assert robustness.summarised({PLAIN: doubted}, ["handwritten"])[PLAIN].error_when_sure == 0.0
