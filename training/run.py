"""One run: from ImageNet weights to a trained network, by the strategy that the configuration names."""

from pathlib import Path

from training.config import TrainingConfig
from training.data import DataSet
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

    Uses train and validation only. Raises `OtherRun` if the checkpoint in `folder` is another run's.
    """
    model = ServingModel(load_imagenet_network(config.weights), len(config.labels))
    if config.strategy == "transfer":
        task = transferring(model, data_set, config, cache=cache, stage=stage)
    else:
        task = finetuning(model, data_set, config)
    return model, fit(task, config, checkpoint=folder / CHECKPOINT, on_epoch=on_epoch, stage=stage)
