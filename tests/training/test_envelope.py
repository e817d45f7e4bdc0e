from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest
import torch

from inference.bundle import InputSpec
from inference.classifier import Oddity
from inference.look import Look
from training.envelope import fit_envelope, fit_familiar
from training.evaluate import Served
from training.export import export_graph, quantize_graph
from training.model import FEATURES, Familiar, ServingModel

SPEC = InputSpec(height=32, width=64)


@pytest.fixture(scope="module")
def features() -> np.ndarray:
    """Of three kinds of image, none of them negative."""
    chance = np.random.default_rng(0)
    kinds = chance.uniform(0, 1, (3, FEATURES))
    return (chance.uniform(0.2, 1, (400, 3)) @ kinds + chance.uniform(0, 0.05, (400, FEATURES))).astype(np.float32)


@pytest.fixture(scope="module")
def familiar(features: np.ndarray) -> Familiar:
    return fit_familiar(features, directions=8)


def distances(familiar: Familiar, features: np.ndarray) -> np.ndarray:
    return familiar(torch.from_numpy(features.astype(np.float32))).numpy()


def test_training_images_lie_at_a_distance_of_one(familiar: Familiar, features: np.ndarray) -> None:
    assert np.sqrt(np.square(distances(familiar, features)).mean()) == pytest.approx(1, abs=1e-3)


def test_what_mixes_the_same_kinds_is_near_and_another_kind_is_far(familiar: Familiar, features: np.ndarray) -> None:
    alike = features[:50] * 0.5 + features[50:100] * 0.5
    other = np.random.default_rng(9).uniform(0, 1, (50, FEATURES))
    assert distances(familiar, alike).max() < 1.5
    assert distances(familiar, other).min() > 3


def test_how_strong_the_features_are_does_not_matter(familiar: Familiar, features: np.ndarray) -> None:
    np.testing.assert_allclose(distances(familiar, 5 * features), distances(familiar, features), rtol=1e-3)


def test_a_feature_that_no_training_image_has_does_not_divide_by_nothing(features: np.ndarray) -> None:
    silent = features.copy()
    silent[:, :100] = 0
    assert np.isfinite(distances(fit_familiar(silent, directions=8), features)).all()


@pytest.mark.parametrize("quantized", [False, True])
def test_the_graph_gives_the_distance_that_torch_gives(random_model: ServingModel, tmp_path: Path, quantized: bool) -> None:
    chance = np.random.default_rng(3)
    images = chance.integers(0, 256, (12, 32, 64, 3), dtype=np.uint8)
    with torch.inference_mode():
        pooled = random_model.feature_map(torch.from_numpy(images)).mean(dim=(2, 3)).numpy()
    random_model.familiar = fit_familiar(pooled, directions=4)
    try:
        export_graph(random_model, tmp_path / "model.onnx", SPEC)
        path = tmp_path / "model.onnx"
        if quantized:
            path = tmp_path / "model.int8.onnx"
            quantize_graph(tmp_path / "model.onnx", path, list(images), float_convolutions=6)
        found = ort.InferenceSession(path, providers=["CPUExecutionProvider"]).run(["distance"], {"pixels": images})[0]
        with torch.inference_mode():
            expected = random_model(torch.from_numpy(images))[2].numpy()
    finally:
        random_model.familiar = None
    assert found.shape == (12,)
    np.testing.assert_allclose(found, expected, rtol=0.3 if quantized else 1e-3)


def looks(number: int = 2000) -> list[Look]:
    chance = np.random.default_rng(1)
    rows = zip(chance.uniform(3, 15, number), chance.uniform(60, 250, number), chance.uniform(0.01, 0.04, number), strict=True)
    return [Look(*row) for row in rows]


def answers(*, dissents: tuple[float, float] = (-10, 5), distances: tuple[float, float] | None = None) -> Served:
    """What a graph says of a thousand validation lines, spread evenly; it tells typewriting where it tells distances."""
    spread = np.linspace(*dissents, 1000)
    oddities = [Oddity(float(dissent)) for dissent in spread]
    if distances is not None:
        far, typed = np.linspace(*distances, 1000), np.linspace(-20, -2, 1000)
        oddities = [Oddity(*map(float, row)) for row in zip(spread, far, typed, strict=True)]
    return Served(probabilities=np.tile([0.9, 0.1], (1000, 1)), looks=looks(1000), oddities=oddities)


def test_hardly_a_line_of_those_that_it_was_fitted_to_lies_outside() -> None:
    envelope = fit_envelope(looks(), answers(distances=(0.5, 2)))
    assert envelope.min_aspect_ratio == pytest.approx(3 / 1.25, rel=0.02)
    assert envelope.max_aspect_ratio == pytest.approx(15 * 1.25, rel=0.02)
    assert envelope.min_contrast == pytest.approx(60 / 1.5, rel=0.02)
    assert envelope.max_row_changes == pytest.approx(0.04 * 1.25, rel=0.02)
    assert envelope.max_distance == pytest.approx(2, rel=0.02)
    assert envelope.max_dissent == pytest.approx(5, rel=0.02)
    assert envelope.max_typewriting == pytest.approx(-2.09, rel=0.01)


def test_one_strange_line_does_not_open_the_envelope() -> None:
    strange = [Look(aspect_ratio=0.1, contrast=0, row_changes=5)]
    assert fit_envelope([*looks(), *strange], answers()).max_row_changes < 0.06
    assert fit_envelope([*looks(), *strange], answers()).min_contrast > 35


def test_a_graph_that_tells_neither_distance_nor_typewriting_has_no_limit_to_them() -> None:
    envelope = fit_envelope(looks(), answers())
    assert envelope.max_distance is None
    assert envelope.max_typewriting is None
