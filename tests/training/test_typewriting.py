"""On a network with random weights: what is drawn in its own way is told apart by what such a network sees of it, too."""

import copy
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest
import torch

from inference.bundle import InputSpec
from tests.training.conftest import LABELS, MakeDataSet, Row
from training.config import TrainingConfig
from training.data import Sample, prepared, read_data_set
from training.export import export_graph, quantize_graph
from training.model import ServingModel
from training.progress import silent
from training.typewriting import fit_typewriting, learn_typewriting

SPEC = InputSpec(height=32, width=64)
MakeConfig = Callable[..., TrainingConfig]


def typed(split: str, row: Row) -> Row | None:
    """What is drawn as print is called typewritten, and the rest is left."""
    return row | {"label": "typewritten"} if row["label"] == "printed" else row


def pixels(samples: list[Sample]) -> torch.Tensor:
    return torch.from_numpy(np.stack([prepared(sample.read(), SPEC) for sample in samples]))


@pytest.fixture
def model(random_model: ServingModel) -> ServingModel:
    return copy.deepcopy(random_model)


def test_two_kinds_are_told_apart_by_a_line_between_them() -> None:
    chance = np.random.default_rng(0)
    kinds = [chance.normal(place, 1.0, (200, 30)) * 40 + 7 for place in (1.0, -1.0)]
    probe = fit_typewriting(*kinds)
    typed_logits, other_logits = (probe(torch.from_numpy(kind).float()).numpy() for kind in kinds)
    assert (typed_logits > 0).mean() > 0.99
    assert (other_logits < 0).mean() > 0.99


def test_a_feature_that_never_changes_does_no_harm() -> None:
    chance = np.random.default_rng(0)
    kinds = [np.column_stack([chance.normal(place, 1.0, (100, 2)), np.zeros(100)]) for place in (1.0, -1.0)]
    assert torch.isfinite(fit_typewriting(*kinds)(torch.zeros(1, 3))).all()


def test_typewritten_lines_of_the_data_set_teach(
    make_data_set: MakeDataSet, make_config: MakeConfig, model: ServingModel
) -> None:
    config = make_config(make_data_set(images=60, change=typed))
    known = list(read_data_set(config.data, LABELS)["train"])
    model.typewriting = learn_typewriting(model, known, config, stage=silent)
    assert model.typewriting is not None
    test = {label: read_data_set(config.data, [label])["test"] for label in ("typewritten", "handwritten")}
    with torch.inference_mode():
        logits = {label: model(pixels(list(samples)))[-1].numpy() for label, samples in test.items()}
    assert np.median(logits["typewritten"]) > np.median(logits["handwritten"])


def test_a_few_typewritten_lines_teach_nothing(
    make_data_set: MakeDataSet, make_config: MakeConfig, model: ServingModel
) -> None:
    config = make_config(make_data_set(images=10, change=typed))
    known = list(read_data_set(config.data, LABELS)["train"])
    assert learn_typewriting(model, known, config, stage=silent) is None


@pytest.mark.parametrize("quantized", [False, True])
def test_the_graph_tells_what_torch_tells(model: ServingModel, tmp_path: Path, quantized: bool) -> None:
    images = np.random.default_rng(3).integers(0, 256, (12, 32, 64, 3), dtype=np.uint8)
    with torch.inference_mode():
        seen = model.impressions(torch.from_numpy(images)).numpy()
    model.typewriting = fit_typewriting(seen[:6], seen[6:])
    path = tmp_path / "model.onnx"
    export_graph(model, path, SPEC)
    if quantized:
        path = tmp_path / "model.int8.onnx"
        quantize_graph(tmp_path / "model.onnx", path, list(images), float_convolutions=6)
    session = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
    found = session.run(["typewriting"], {"pixels": images})[0]
    with torch.inference_mode():
        expected = model(torch.from_numpy(images))[2].numpy()
    assert found.shape == (12,)
    np.testing.assert_allclose(found, expected, atol=1.5 if quantized else 1e-3)


def test_the_8_bit_graph_tells_more_than_its_calibration_images_showed(model: ServingModel, tmp_path: Path) -> None:
    images = np.random.default_rng(3).integers(0, 256, (12, 32, 64, 3), dtype=np.uint8)
    images[:6] //= 4
    with torch.inference_mode():
        seen = model.impressions(torch.from_numpy(images)).numpy()
    model.typewriting = fit_typewriting(seen[:6], seen[6:])
    export_graph(model, tmp_path / "model.onnx", SPEC)
    quantize_graph(tmp_path / "model.onnx", tmp_path / "model.int8.onnx", list(images[6:]), float_convolutions=6)
    session = ort.InferenceSession(tmp_path / "model.int8.onnx", providers=["CPUExecutionProvider"])
    assert session.run(["typewriting"], {"pixels": images[:6]})[0].min() > 1
