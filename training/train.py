"""From a data set and a configuration to a candidate: train, assemble, and log it all as one run."""

import json
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from accelerate import PartialState
from safetensors.torch import save_model

from inference.bundle import Bundle, load_bundle
from training.assemble import assemble
from training.config import TrainingConfig
from training.data import open_tables, read_data_set, require_trainable
from training.fit import Epoch
from training.golden import refuse_unreadable
from training.progress import Stage
from training.record import WEIGHTS, Outcome
from training.run import CHECKPOINT, require_own_checkpoint, train_network
from training.sampling import subset
from training.tracking import RunLog, tracked_run

_RUN = "run_id"
_FINISHED = "finished.json"
_FEATURES = "features"
_PACKAGES = ("torch", "torchvision", "onnx", "onnxruntime")


@dataclass(frozen=True, slots=True)
class Tracking:
    """Where a run is logged, and as what."""

    uri: str
    experiment: str
    name: str


@dataclass(frozen=True, slots=True)
class Trained:
    """What a run left: its id and the bundle."""

    run_id: str
    bundle: Bundle


def train_candidate(config: TrainingConfig, folder: Path, tracking: Tracking, stage: Stage) -> Trained | None:
    """Train, and log the run. `folder` keeps the checkpoint, the features, the weights and the bundle; called again after an
    interruption, it goes on there, in the same run. Of several processes that train together all but one get None.

    Raises a `TrainingError`, or `RegistryUnavailable` before anything is done.
    """
    if config.golden is not None:
        refuse_unreadable(config.golden, config.input_spec)
    if config.typewritten is not None:
        open_tables(config.typewritten)  # it is needed at the end only, and too late to be missed then
    data_set = read_data_set(config.data, config.labels)
    seen = {**data_set, "train": subset(data_set["train"], config.subset, config.seed)}
    require_trainable(seen, config.labels)
    cache = folder / _FEATURES
    if not PartialState().is_main_process:
        train_network(seen, config, folder, cache=cache, on_epoch=lambda epoch: None, stage=stage)
        return None
    identity = require_own_checkpoint(seen, config, folder)  # before the run that it belongs to is opened, and marked as failed
    finished = _finished(folder, identity, config, tracking)
    if finished is not None:
        return finished
    with _run(config, folder, tracking) as log:
        (folder / _RUN).write_text(log.run_id)

        def on_epoch(epoch: Epoch) -> None:
            log.epoch(epoch.number, _said(epoch))

        model, epochs = train_network(seen, config, folder, cache=cache, on_epoch=on_epoch, stage=stage)
        notes = _notes(config, epochs)
        candidate = assemble(model, seen, config, folder / tracking.name, cache=cache, notes=notes, stage=stage)
        save_model(model, str(folder / WEIGHTS))  # only now it knows what is familiar
        log.finish(Outcome(candidate.bundle, seen, candidate.evaluations, config.target_error, folder / WEIGHTS))
    (folder / _FINISHED).write_text(_described(identity, config, tracking))
    return Trained(log.run_id, candidate.bundle)


def _finished(folder: Path, identity: str, config: TrainingConfig, tracking: Tracking) -> Trained | None:
    """What the same command left when it was done before: to make it again would change a bundle that may be registered."""
    note = folder / _FINISHED
    if not note.is_file() or note.read_text() != _described(identity, config, tracking):
        return None
    return Trained((folder / _RUN).read_text(), load_bundle(folder / tracking.name))


def _described(identity: str, config: TrainingConfig, tracking: Tracking) -> str:
    return json.dumps({"identity": identity, "parameters": config.parameters(), "tracking": asdict(tracking)}, indent=2)


def _run(config: TrainingConfig, folder: Path, tracking: Tracking) -> AbstractContextManager[RunLog]:
    """The run that the checkpoint in `folder` belongs to, or a new one."""
    folder.mkdir(parents=True, exist_ok=True)
    known = folder / _RUN
    run_id = known.read_text() if known.is_file() and (folder / CHECKPOINT).is_file() else None
    return tracked_run(
        tracking.uri,
        experiment=tracking.experiment,
        name=tracking.name,
        parameters=config.parameters(),
        tags={"strategy": config.strategy},
        run_id=run_id,
    )


def _said(epoch: Epoch) -> dict[str, float]:
    return {
        "train.loss": epoch.train_loss,
        "validation.loss": epoch.validation_loss,
        "validation.accuracy": epoch.validation_accuracy,
        "learning_rate": epoch.learning_rate,
        "images_per_second": epoch.images_per_second,
    }


def _notes(config: TrainingConfig, epochs: list[Epoch]) -> dict[str, Any]:
    """What the bundle notes of its training."""
    learnt = {
        "transfer": "a new linear head on ImageNet features",
        "finetune": f"a new linear head and the last {config.tuned_blocks} blocks tuned from ImageNet weights",
    }
    return {
        "architecture": f"MobileNetV2, {learnt[config.strategy]}",
        "parameters": config.parameters(),
        "epochs": len(epochs),
        "best_epoch": min(epochs, key=lambda epoch: epoch.validation_loss).number,
        "versions": {package: version(package) for package in _PACKAGES},
    }
