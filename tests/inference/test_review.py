from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from inference.bundle import Envelope, InputSpec, Manifest
from inference.classifier import Oddity, Verdict
from inference.look import Look
from inference.review import ReviewReason, odd_answer, odd_look, review_reason

ENVELOPE = Envelope(
    min_aspect_ratio=1.2,
    max_aspect_ratio=30,
    min_contrast=40,
    max_row_changes=0.1,
    max_dissent=4.0,
    max_distance=2.0,
    max_typewriting=1.0,
)
THRESHOLD = 0.9


USUAL = Oddity(dissent=-3.0, distance=1.0, typewriting=-5.0)


def verdict(confidence: float = 0.99, oddity: Oddity = USUAL) -> Verdict:
    probabilities = {"handwritten": confidence, "printed": 1 - confidence}
    cam = np.zeros((8, 32), dtype=np.float32)
    return Verdict("handwritten", confidence, probabilities, cam, oddity)


def manifest(envelope: Envelope | None = ENVELOPE) -> Manifest:
    return Manifest(
        name="m",
        labels=("handwritten", "printed"),
        input=InputSpec(height=64, width=256),
        temperature=1,
        review_threshold=THRESHOLD,
        serve="model.onnx",
        files={},
        envelope=envelope,
        created_at="now",
    )


def look(*, contrast: float = 150.0, aspect_ratio: float = 8.0) -> Look:
    return Look(aspect_ratio=aspect_ratio, contrast=contrast, row_changes=0.05)


@pytest.mark.parametrize(
    ("seen", "reason"),
    [
        ({}, None),
        ({"contrast": 40.0, "row_changes": 0.1, "aspect_ratio": 30.0}, None),
        ({"contrast": 39.9}, ReviewReason.BLANK),
        ({"aspect_ratio": 1.19}, ReviewReason.UNUSUAL_SHAPE),
        ({"aspect_ratio": 30.1}, ReviewReason.UNUSUAL_SHAPE),
        ({"row_changes": 0.11}, ReviewReason.CROWDED),
        ({"contrast": 0.0, "aspect_ratio": 0.5, "row_changes": 1.0}, ReviewReason.BLANK),
        ({"aspect_ratio": 0.5, "row_changes": 1.0}, ReviewReason.UNUSUAL_SHAPE),
    ],
)
def test_a_page_that_looks_unlike_a_line_is_odd(seen: dict[str, float], reason: ReviewReason | None) -> None:
    assert odd_look(replace(look(), **seen), ENVELOPE) == reason


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ({}, None),
        ({"distance": None}, None),
        ({"dissent": 4.0, "distance": 2.0}, None),
        ({"distance": 2.1}, ReviewReason.UNFAMILIAR),
        ({"typewriting": 1.0}, None),
        ({"typewriting": 1.1}, ReviewReason.TYPEWRITTEN),
        ({"typewriting": None}, None),
        ({"typewriting": 1.1, "distance": 2.1}, ReviewReason.UNFAMILIAR),
        ({"typewriting": 1.1, "dissent": 4.1}, ReviewReason.TYPEWRITTEN),
        ({"dissent": 4.1}, ReviewReason.DIVIDED),
        ({"dissent": 4.1, "distance": None}, ReviewReason.DIVIDED),
        ({"dissent": 9.0, "distance": 9.0}, ReviewReason.UNFAMILIAR),
    ],
)
def test_an_image_that_is_far_or_divided_is_odd(answer: dict[str, Any], reason: ReviewReason | None) -> None:
    assert odd_answer(USUAL._replace(**answer), ENVELOPE) == reason


@pytest.mark.parametrize("name", ["distance", "typewriting"])
def test_without_a_limit_nothing_is_too_much(name: str) -> None:
    envelope = ENVELOPE.model_copy(update={f"max_{name}": None})
    assert odd_answer(USUAL._replace(**{name: 1e9}), envelope) is None


def test_a_strange_page_needs_review_however_sure_the_model_is() -> None:
    assert review_reason(look(contrast=20), verdict(1.0), manifest()) == "blank"
    assert review_reason(look(aspect_ratio=0.8), verdict(1.0), manifest()) == "unusual_shape"
    assert review_reason(look(), verdict(1.0, USUAL._replace(distance=3.0)), manifest()) == "unfamiliar"
    assert review_reason(look(), verdict(1.0, USUAL._replace(typewriting=2.0)), manifest()) == "typewritten"
    assert review_reason(look(), verdict(1.0, USUAL._replace(dissent=5.0)), manifest()) == "divided"
    assert review_reason(look(), verdict(1.0), manifest()) is None


@pytest.mark.parametrize(("confidence", "reason"), [(0.899, "low_confidence"), (0.9, None), (1.0, None)])
def test_a_confidence_below_the_threshold_needs_review(confidence: float, reason: str | None) -> None:
    assert review_reason(look(), verdict(confidence), manifest()) == reason


def test_a_threshold_of_ones_own_moves_the_confidence_alone() -> None:
    assert review_reason(look(), verdict(0.95), manifest(), threshold=0.99) == "low_confidence"
    assert review_reason(look(), verdict(0.6), manifest(), threshold=0.0) is None
    assert review_reason(look(contrast=20), verdict(0.6), manifest(), threshold=0.0) == "blank"


def test_a_bundle_that_knows_no_envelope_doubts_by_confidence_alone() -> None:
    assert review_reason(look(contrast=20, aspect_ratio=0.01), verdict(0.95), manifest(envelope=None)) is None
    assert review_reason(look(contrast=20, aspect_ratio=0.01), verdict(0.5), manifest(envelope=None)) == "low_confidence"
