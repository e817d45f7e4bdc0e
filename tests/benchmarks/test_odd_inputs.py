import sys
from pathlib import Path

import pytest

from benchmarks import odd_inputs
from inference.bundle import load_bundle
from registry.cache import manifest_sha256
from training.results import OddInputs


def test_the_share_that_a_person_should_look_at_is_counted_by_kind(
    data: Path, tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "odd_inputs.json"
    monkeypatch.setattr(sys, "argv", ["odd_inputs", str(tiny_bundle), "--data", str(data), "--json", str(out)])
    odd_inputs.main()
    found = OddInputs.read(out)
    assert found.bundle_sha256 == manifest_sha256(load_bundle(tiny_bundle))
    assert {kind: (noticed.images, noticed.reasons) for kind, noticed in found.kinds.items()} == {
        "faint_lines": (1, {"low_confidence": 1}),
        "ribbons": (1, {"unusual_shape": 1}),
        "printed_pages": (1, {}),
        "good test lines": (4, {}),
    }
    assert "100.00% of    1 need review (unusual_shape 1)" in capsys.readouterr().out
