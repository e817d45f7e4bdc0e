"""Runs on a local store: what they log, how they end, how they go on."""

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from inference.bundle import Bundle, DataNote, load_bundle
from registry.catalog import Catalog
from registry.errors import RegistryUnavailable
from tests.training.conftest import LABELS
from training import tracking
from training.data import fingerprint
from training.environment import Commit
from training.errors import NoSuchRun
from training.evaluate import Evaluation
from training.manifest import write_manifest
from training.record import Outcome
from training.tracking import tracked_run

PARAMETERS = {"seed": "1", "strategy": "transfer"}
EPOCHS = [{"train.loss": 0.9, "validation.accuracy": 0.7}, {"train.loss": 0.5, "validation.accuracy": 0.8}]


@pytest.fixture
def tracking_uri(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'home' / 'mlflow.db'}"


@pytest.fixture
def outcome(exported_model: Bundle, evaluation: Evaluation, tmp_path: Path) -> Outcome:
    data_set = dict.fromkeys(("train", "validation", "test"), evaluation.samples)
    note = DataNote(
        name="lines",
        images={split: len(samples) for split, samples in data_set.items()},
        fingerprints={split: fingerprint(samples) for split, samples in data_set.items()},
    )
    evaluations = {"validation": evaluation, "test": evaluation}
    metrics = {split: found.measure(LABELS, 0.9) for split, found in evaluations.items()}
    notes = {"architecture": "MobileNetV2"}
    changes = {"data": note, "metrics": metrics, "notes": notes}
    bundle = write_manifest(exported_model.directory, exported_model.manifest.model_copy(update=changes))
    weights = tmp_path / "weights.safetensors"
    weights.write_bytes(b"weights")
    return Outcome(bundle, data_set, evaluations, target_error=0.005, weights=weights)


@pytest.fixture
def finished(tracking_uri: str, outcome: Outcome, monkeypatch: pytest.MonkeyPatch) -> str:
    """The id of a run that was logged from beginning to end."""
    monkeypatch.setattr(tracking, "commit", lambda: Commit("c0ffee", dirty=True))
    with tracked_run(tracking_uri, name="first", parameters=PARAMETERS, tags={"purpose": "test"}) as log:
        for number, metrics in enumerate(EPOCHS, start=1):
            log.epoch(number, metrics)
        log.finish(outcome)
    return log.run_id


def artifacts(client: MlflowClient, run_id: str, folder: str | None = None) -> set[str]:
    found = client.list_artifacts(run_id, folder)
    files = {item.path for item in found if not item.is_dir}
    return files.union(*(artifacts(client, run_id, item.path) for item in found if item.is_dir))


def fetch(client: MlflowClient, run_id: str, path: str) -> str:
    return Path(client.download_artifacts(run_id, path)).read_text(encoding="utf-8")


def test_a_run_holds_all_that_was_made(tracking_uri: str, finished: str, tmp_path: Path) -> None:
    client = Catalog(tracking_uri).client
    run = client.get_run(finished)
    assert run.info.status == "FINISHED"
    assert run.info.run_name == "first"
    assert run.data.params == PARAMETERS
    check_metrics(client, finished)
    check_tags(run.data.tags)
    check_inputs(run.inputs.dataset_inputs)
    check_artifacts(client, finished, tmp_path)
    check_signature(client, finished)
    check_it_can_be_registered(tracking_uri, finished, tmp_path)


def check_metrics(client: MlflowClient, run_id: str) -> None:
    metrics = client.get_run(run_id).data.metrics
    assert metrics["validation.accuracy"] == metrics["test.accuracy"] == pytest.approx(21 / 24)
    assert metrics["test.by_class.printed.recall"] == pytest.approx(11 / 12)
    assert not any("example.org" in key for key in metrics), "a chart for each source would bury the others"
    history = client.get_metric_history(run_id, "epoch/train.loss")
    assert [(point.step, point.value) for point in history] == [(1, 0.9), (2, 0.5)]


def check_tags(tags: dict[str, str]) -> None:
    assert tags["purpose"] == "test"
    assert tags["mlflow.source.git.commit"] == "c0ffee"
    assert tags["git.dirty"] == "true"
    assert tags["model.description"] == "MobileNetV2"
    assert tags["data.description"] == "lines: train 24, validation 24, test 24 images"
    assert len(tags["data.fingerprint.test"]) == 64
    assert "| accuracy | 87.50% | 87.50% |" in tags["mlflow.note.content"]


def check_inputs(inputs: Any) -> None:
    contexts = {found.dataset.name: [tag.value for tag in found.tags] for found in inputs}
    assert contexts == {f"lines, {split}": [split] for split in ("train", "validation", "test")}


def check_artifacts(client: MlflowClient, run_id: str, tmp_path: Path) -> None:
    found = artifacts(client, run_id)
    figures = ("accuracy_by_source", "confusion_matrix", "precision_recall", "reliability", "risk_coverage", "roc")
    assert found == {
        *(f"figures/{split}/{name}.png" for split in ("validation", "test") for name in (*figures, "worst_mistakes")),
        *(f"samples/{split}.csv" for split in ("train", "validation", "test")),
        *(f"predictions/{split}.csv" for split in ("validation", "test")),
        *(f"accuracy/{split}_by_{group}.csv" for split in ("validation", "test") for group in ("source", "century")),
        *(f"bundle/{name}" for name in ("MLmodel", "bundle.json", "model.onnx")),
        "figures/learning_curves.png",
        "environment/requirements.txt",
        "environment/system.json",
        "weights/model.safetensors",
    }
    samples, predictions = (fetch(client, run_id, f"{kind}/test.csv").splitlines() for kind in ("samples", "predictions"))
    assert samples[0] == "file,label,group,source,sha256"
    assert samples[1].startswith("test/handwritten/0.png,handwritten,test-handwritten,example.org/a,")
    assert predictions[:2] == ["file,truth,handwritten,printed", "test/handwritten/0.png,handwritten,0.600000,0.400000"]
    assert fetch(client, run_id, "accuracy/test_by_source.csv") == "source,images,accuracy\nexample.org/a,24,0.8750\n"
    assert any(line.startswith("numpy==") for line in fetch(client, run_id, "environment/requirements.txt").splitlines())
    environment = fetch(client, run_id, "environment/system.json")
    assert set(json.loads(environment)) == {"python", "platform", "machine", "cores", "device", "cuda"}
    assert str(tmp_path) not in environment + "".join(samples + predictions)


def check_signature(client: MlflowClient, run_id: str) -> None:
    from mlflow.models import Model

    model = Model.load(client.download_artifacts(run_id, "bundle/MLmodel"))
    described = {
        spec.name: (str(spec.type), spec.shape)
        for schema in (model.signature.inputs, model.signature.outputs)
        for spec in schema
    }
    assert described["pixels"] == ("uint8", (-1, 32, 64, 3))
    assert described["logits"] == ("float32", (-1, 2))
    assert described["cam"][1][:2] == (-1, 2)
    assert set(model.flavors) == {"onnx"}
    (shown,) = json.loads(client.get_run(run_id).data.tags["mlflow.log-model.history"])
    assert (shown["artifact_path"], shown["flavors"]["onnx"]["data"]) == ("bundle", "model.onnx")


def check_it_can_be_registered(tracking_uri: str, run_id: str, tmp_path: Path) -> None:
    catalog = Catalog(tracking_uri)
    bundle = Path(catalog.client.download_artifacts(run_id, "bundle"))
    catalog.download(catalog.register(run_id, bundle).number, tmp_path / "fetched")
    assert load_bundle(tmp_path / "fetched").manifest.name == "tiny"


def test_a_run_that_raises_has_failed_and_says_why(tracking_uri: str) -> None:
    with pytest.raises(ValueError, match="no good"), tracked_run(tracking_uri, name="bad", parameters={}) as log:
        raise ValueError("The data are no good.")
    run = Catalog(tracking_uri).client.get_run(log.run_id)
    assert run.info.status == "FAILED"
    assert run.data.tags["failure"] == "The data are no good."


def test_a_run_that_is_interrupted_is_killed(tracking_uri: str) -> None:
    with pytest.raises(KeyboardInterrupt), tracked_run(tracking_uri, name="stopped", parameters={}) as log:
        raise KeyboardInterrupt
    assert Catalog(tracking_uri).client.get_run(log.run_id).info.status == "KILLED"


def test_a_run_goes_on_where_it_was_stopped(tracking_uri: str) -> None:
    with suppress(RuntimeError), tracked_run(tracking_uri, name="first", parameters=PARAMETERS) as log:
        log.epoch(1, EPOCHS[0])
        raise RuntimeError("Out of memory.")
    client = Catalog(tracking_uri).client
    with tracked_run(tracking_uri, name="first", parameters={"seed": "2"}, run_id=log.run_id) as resumed:
        assert client.get_run(log.run_id).info.status == "RUNNING"
        resumed.epoch(2, EPOCHS[1])
        assert resumed.epochs() == EPOCHS
    run = client.get_run(log.run_id)
    assert run.info.status == "FINISHED"
    assert run.data.params == PARAMETERS
    assert "failure" not in run.data.tags


def test_a_run_that_does_not_exist_cannot_go_on(tracking_uri: str) -> None:
    with pytest.raises(NoSuchRun, match="no run 123"), tracked_run(tracking_uri, name="first", parameters={}, run_id="123"):
        pass


@pytest.mark.parametrize("uri", ["http://127.0.0.1:9", "sqlite:////dev/null/mlflow.db"])
def test_a_store_that_is_down_is_noticed_before_training(uri: str) -> None:
    trained = []
    with pytest.raises(RegistryUnavailable), tracked_run(uri, name="first", parameters={}):
        trained.append("in vain")
    assert trained == []


def test_epochs_that_the_store_did_not_take_are_sent_with_the_next(
    tracking_uri: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    log_batch = MlflowClient.log_batch

    def refuse(*_: object, **__: object) -> None:
        raise ConnectionError("nobody there")

    with tracked_run(tracking_uri, name="first", parameters={}) as log:
        monkeypatch.setattr(MlflowClient, "log_batch", refuse)
        log.epoch(1, EPOCHS[0])
        monkeypatch.setattr(MlflowClient, "log_batch", log_batch)
        log.epoch(2, EPOCHS[1])
    assert "epoch 1 will be logged later" in caplog.text
    history = Catalog(tracking_uri).client.get_metric_history(log.run_id, "epoch/train.loss")
    assert [point.step for point in history] == [1, 2]


def test_what_the_store_never_took_is_an_error_at_the_end(tracking_uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise ConnectionError("nobody there")

    monkeypatch.setattr(MlflowClient, "log_batch", refuse)
    with pytest.raises(RegistryUnavailable), tracked_run(tracking_uri, name="first", parameters={}) as log:
        log.epoch(1, EPOCHS[0])
    assert Catalog(tracking_uri).client.get_run(log.run_id).info.status == "FAILED"
