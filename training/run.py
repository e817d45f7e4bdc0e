"""One run: from ImageNet weights to a trained network, by the strategy that the configuration names."""

import hashlib
import json
from pathlib import Path

import torch

from inference.bundle import file_sha256
from training.checkpoint import own_checkpoint
from training.config import TrainingConfig
from training.data import DataSet, fingerprint
from training.errors import WrongSetting
from training.finetune import finetuning
from training.fit import Epoch, OnEpoch, fit
from training.model import ServingModel, load_imagenet_network
from training.progress import Stage
from training.transfer import transferring

CHECKPOINT = "checkpoint.safetensors"


def train_network(
    data_set: DataSet, config: TrainingConfig, folder: Path, *, cache: Path, on_epoch: OnEpoch, stage: Stage
) -> tuple[ServingModel, list[Epoch]]:
    """The network with the weights of its best epoch, and the epochs. `folder` keeps the checkpoint, `cache` features.

    Uses train and validation only. Raises `OtherRun` if the checkpoint in `folder` is another run's, before anything is done.
    """
    identity = require_own_checkpoint(data_set, config, folder)
    model = ServingModel(load_imagenet_network(config.weights), len(config.labels))
    if config.strategy == "transfer":
        task = transferring(model, data_set, config, cache=cache, stage=stage)
    else:
        task = finetuning(model, data_set, config)
    return model, fit(task, config, checkpoint=folder / CHECKPOINT, identity=identity, on_epoch=on_epoch, stage=stage)


def require_own_checkpoint(data_set: DataSet, config: TrainingConfig, folder: Path) -> str:
    """The identity of the run: a digest of all that decides what it learns. Raises `OtherRun`, or `WrongSetting` for a
    precision that the device does not have.
    """
    if config.precision == "fp16" and not torch.cuda.is_available():
        raise WrongSetting("fp16 needs a graphics card; on a processor choose bf16 or no.")
    described = {
        "settings": config.learning(),
        "weights": file_sha256(config.weights) if config.weights else "torchvision",
        "data": [fingerprint(data_set[split]) for split in ("train", "validation")],
    }
    identity = hashlib.sha256(json.dumps(described).encode()).hexdigest()
    own_checkpoint(folder / CHECKPOINT, identity)
    return identity
