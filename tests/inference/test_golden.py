"""A golden sample proves that a model answers here as it did where it was made."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from inference.bundle import file_sha256, load_bundle
from inference.classifier import Classifier, Oddity, Verdict
from inference.errors import BundleInvalid
from inference.golden import TOLERANCE, GoldenMismatch, check_golden
from tests.pictures import DARK, encoded, picture, png
from tests.tiny_bundle import write_tiny_bundle

SURE = (1.0, 0.0)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_tiny_bundle(tmp_path / "bundle")


def add_golden(folder: Path, *, probabilities: tuple[float, ...] = SURE, data: bytes | None = None, **changes: Any) -> Path:
    """Give the bundle a dark page, which its graph calls handwritten, as its golden sample."""
    (folder / "golden.png").write_bytes(png(DARK) if data is None else data)
    path = folder / "bundle.json"
    manifest = json.loads(path.read_text())
    manifest["files"]["golden.png"] = file_sha256(folder / "golden.png")
    manifest["golden"] = {"file": "golden.png", "probabilities": probabilities} | changes
    path.write_text(json.dumps(manifest))
    return folder


def check(folder: Path) -> None:
    check_golden(Classifier(load_bundle(folder), device="cpu"))


def test_a_model_that_answers_as_it_did_passes(folder: Path) -> None:
    check(add_golden(folder))


def test_a_bundle_without_a_golden_sample_passes(folder: Path) -> None:
    check(folder)


def test_another_class_is_a_mismatch(folder: Path) -> None:
    with pytest.raises(GoldenMismatch, match=r"is printed \(1\.000\); here it is handwritten"):
        check(add_golden(folder, probabilities=(0.0, 1.0)))


@pytest.mark.parametrize("off_by", [TOLERANCE / 2, 2 * TOLERANCE])
def test_a_probability_may_be_off_by_no_more_than_the_tolerance(folder: Path, off_by: float) -> None:
    add_golden(folder, probabilities=(1 - off_by, off_by))
    if off_by < TOLERANCE:
        check(folder)
    else:
        with pytest.raises(GoldenMismatch, match=r"off by 0\.100"):
            check(folder)


def test_an_answer_that_is_no_number_is_a_mismatch(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    classifier = Classifier(load_bundle(add_golden(folder)), device="cpu")
    probabilities = dict.fromkeys(classifier.labels, float("nan"))
    nothing = Verdict("handwritten", float("nan"), probabilities, np.zeros((1, 1), dtype=np.float32), Oddity(0.0))
    monkeypatch.setattr(Classifier, "classify", lambda *_: [nothing])
    with pytest.raises(GoldenMismatch):
        check_golden(classifier)


def test_a_golden_sample_that_is_no_image_is_a_mismatch(folder: Path) -> None:
    with pytest.raises(GoldenMismatch, match="cannot be read"):
        check(add_golden(folder, data=b"no image"))


def test_the_sample_is_decoded_as_every_image_is(folder: Path) -> None:
    check(add_golden(folder, data=encoded(picture(DARK).convert("CMYK"), "TIFF")))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"file": "other.png"}, "which it does not list"),
        ({"probabilities": (1.0,)}, "its labels are"),
        ({"probabilities": (1.5, -0.5)}, "its labels are"),
        ({"probabilities": (0.5, 0.2)}, "sum up to"),
    ],
)
def test_a_manifest_whose_golden_sample_cannot_be_is_invalid(folder: Path, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(BundleInvalid, match=said):
        load_bundle(add_golden(folder, **changes))
