"""From images to a bundle, on a network with random weights and a data set that a test draws."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest

from inference.bundle import InputSpec, load_bundle
from inference.classifier import Classifier
from training import assemble as assembling
from training.__main__ import describe, train_head
from training.assemble import FULL, QUANTIZED, assemble
from training.config import TrainingConfig
from training.data import prepared, read_data_set
from training.export import export_graph
from training.model import ServingModel
from training.progress import silent


@pytest.fixture
def config(make_data_set: Callable[..., Path], make_config: Callable[..., TrainingConfig]) -> TrainingConfig:
    return make_config(make_data_set(images=4), float_convolutions=(3,))


@pytest.fixture(autouse=True)
def in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Classify here: a pool of processes takes seconds to start; test_evaluate covers it."""

    def answer(directory: Path, samples, *, processes: int, advance) -> np.ndarray:  # type: ignore[no-untyped-def]  # as the real one
        classifier = Classifier(load_bundle(directory), device="cpu")
        verdicts = classifier.classify([prepared(sample.read(), classifier.spec) for sample in samples])
        return np.array([list(verdict.probabilities.values()) for verdict in verdicts])

    monkeypatch.setattr(assembling, "served_probabilities", answer)


def test_a_run_yields_a_bundle_that_serves(random_model: ServingModel, config: TrainingConfig, tmp_path: Path) -> None:
    data_set = read_data_set(config.data, config.labels)
    head = train_head(random_model, data_set, config, cache=tmp_path / "features", stage=silent)
    assert len(list((tmp_path / "features").glob("*.npy"))) == 3
    random_model.set_head(head.weight, head.bias)
    bundle = assemble(random_model, data_set, config, tmp_path / "tiny", notes=describe(head, config), stage=silent)

    manifest = load_bundle(tmp_path / "tiny").manifest
    assert manifest.name == "tiny"
    assert manifest.metrics["test"]["images"] == 8
    assert manifest.metrics["validation"]["accuracy"] >= 0.75
    assert manifest.notes["largest_difference_to_torch"] < 1e-4
    assert str(config.data) not in manifest.model_dump_json()
    assert {path.name for path in bundle.directory.iterdir()} == {"bundle.json", *manifest.files}
    (verdict,) = Classifier(bundle).classify([prepared(data_set["test"][0].read(), manifest.input)])
    assert verdict.cam.shape == (1, 2)


def test_a_quantized_graph_that_fails_its_gate_is_left_out(
    random_model: ServingModel, config: TrainingConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(assembling, "quantization_objection", lambda *_: "It is bad.")
    data_set = read_data_set(config.data, config.labels)
    manifest = assemble(random_model, data_set, config, tmp_path / "tiny", notes={}, stage=silent).manifest
    assert set(manifest.files) == {FULL}
    assert manifest.serve == FULL
    assert manifest.notes["quantized_left_out_because"] == "It is bad."
    assert not (tmp_path / "tiny" / QUANTIZED).exists()


def test_the_graph_takes_any_number_of_images(random_model: ServingModel, tmp_path: Path) -> None:
    spec = InputSpec(height=32, width=64)
    export_graph(random_model, tmp_path / FULL, spec)
    dimensions = onnx.load(tmp_path / FULL).graph.input[0].type.tensor_type.shape.dim
    assert dimensions[0].dim_param == "n"
    assert [dimension.dim_value for dimension in dimensions[1:]] == [32, 64, 3]
