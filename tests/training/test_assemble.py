"""From images to a bundle, on a network with random weights and a data set that a test draws."""

import copy
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import onnx
import pytest

from inference.bundle import InputSpec, load_bundle
from inference.classifier import Classifier
from inference.golden import check_golden
from inference.look import measure
from inference.preprocess import Prepared
from training import assemble as assembling
from training.assemble import Candidate, assemble
from training.config import TrainingConfig
from training.data import DataSet, Sample, decoded, fingerprint, prepared, read_data_set
from training.evaluate import Served, served
from training.export import export_graph
from training.manifest import FULL, QUANTIZED
from training.model import ServingModel
from training.progress import silent

Assemble = Callable[[], Candidate]


@pytest.fixture
def config(make_data_set: Callable[..., Path], make_config: Callable[..., TrainingConfig]) -> TrainingConfig:
    return make_config(make_data_set(images=4), float_convolutions=(3,), weights=None)


@pytest.fixture
def data_set(config: TrainingConfig) -> DataSet:
    return read_data_set(config.data, config.labels)


@pytest.fixture(autouse=True)
def in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Classify here: a pool of processes takes seconds to start; test_evaluate covers it."""

    def answer(directory: Path, samples: Sequence[Sample], **_: Any) -> Served:
        classifier = Classifier(load_bundle(directory), device="cpu")
        pages = [Prepared.of(decoded(sample.read(), classifier.spec), classifier.spec) for sample in samples]
        return served(classifier.classify([page.pixels for page in pages]), [measure(page) for page in pages])

    monkeypatch.setattr(assembling, "served_answers", answer)


@pytest.fixture
def make_candidate(random_model: ServingModel, data_set: DataSet, config: TrainingConfig, tmp_path: Path) -> Assemble:
    model = copy.deepcopy(random_model)
    return lambda: assemble(model, data_set, config, tmp_path / "tiny", cache=tmp_path, notes={"epochs": 1}, stage=silent)


def test_a_run_yields_a_bundle_that_serves(make_candidate: Assemble, data_set: DataSet, config: TrainingConfig) -> None:
    candidate = make_candidate()
    manifest = load_bundle(candidate.bundle.directory).manifest
    assert manifest.name == "tiny"
    assert manifest.notes["epochs"] == 1
    assert manifest.notes["largest_difference_to_torch"] < 1e-4
    assert manifest.notes["largest_difference_to_grad_cam"] < 1e-4
    assert str(config.data) not in manifest.model_dump_json()
    assert {path.name for path in candidate.bundle.directory.iterdir()} == {"bundle.json", *manifest.files}
    classifier = Classifier(candidate.bundle)
    check_golden(classifier)
    (verdict,) = classifier.classify([prepared(data_set["test"][0].read(), manifest.input)])
    assert verdict.cam.shape == (1, 2)
    assert verdict.oddity.distance is not None
    assert verdict.oddity.typewriting is None  # nobody showed it any


def test_the_bundle_says_what_it_was_made_from_and_how_it_did(make_candidate: Assemble, data_set: DataSet) -> None:
    candidate = make_candidate()
    manifest = candidate.bundle.manifest
    assert manifest.data is not None
    assert manifest.data.images == {"train": 8, "validation": 8, "test": 8}
    assert manifest.data.fingerprints["test"] == fingerprint(data_set["test"])
    assert manifest.envelope is not None
    for split, evaluation in candidate.evaluations.items():
        metrics = manifest.metrics[split]
        assert metrics["accuracy"] == (evaluation.predicted == evaluation.targets).mean()
        assert 0 <= metrics["strange"] <= 1


def test_of_the_training_images_only_those_to_calibrate_by_stay_in_memory(data_set: DataSet, config: TrainingConfig) -> None:
    images, looks = assembling._look_at(data_set["train"], config)
    assert (len(images), len(looks)) == (config.calibration_images, len(data_set["train"])) == (4, 8)


def test_a_quantized_graph_that_fails_its_gate_is_left_out(make_candidate: Assemble, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(assembling, "quantization_objection", lambda *_: "It is bad.")
    bundle = make_candidate().bundle
    assert set(bundle.manifest.files) == {FULL, "golden.png"}
    assert bundle.manifest.serve == FULL
    assert bundle.manifest.notes["quantized_left_out_because"] == "It is bad."
    assert not (bundle.directory / QUANTIZED).exists()


def test_the_graph_takes_any_number_of_images(random_model: ServingModel, tmp_path: Path) -> None:
    spec = InputSpec(height=32, width=64)
    export_graph(random_model, tmp_path / FULL, spec)
    dimensions = onnx.load(tmp_path / FULL).graph.input[0].type.tensor_type.shape.dim
    assert dimensions[0].dim_param == "n"
    assert [dimension.dim_value for dimension in dimensions[1:]] == [32, 64, 3]
