"""Fine-tuning: the head and the last blocks of the trunk, trained on augmented strips of lines."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from training.config import TrainingConfig
from training.data import DataSet
from training.fit import Task
from training.images import BATCH_OF_WIDE_IMAGES, AugmentedImages, PreparedImages
from training.model import ServingModel
from training.sampling import epoch_sampler

_HEAD_FACTOR = 5.0
_HEAD_DEVIATION = 0.01


class TunedNetwork(nn.Module):
    """`model` with all but the head and the last blocks of its trunk frozen. BatchNorm stays in evaluation mode throughout."""

    def __init__(self, model: ServingModel, tuned_blocks: int) -> None:
        super().__init__()
        self.model = model.to(memory_format=torch.channels_last)
        self.frozen = max(0, len(model.trunk) - tuned_blocks)
        nn.init.normal_(model.head.weight, std=_HEAD_DEVIATION)
        for block in model.trunk[: self.frozen]:
            block.requires_grad_(False)

    def forward(self, pixels: Tensor) -> Tensor:
        """uint8 pixels (n x height x width x 3) to logits (n x classes)."""
        with torch.no_grad():
            features = self.model.trunk[: self.frozen](self.model.centred(pixels))
        return self.model.logits(self.model.trunk[self.frozen :](features))

    def train(self, mode: bool = True) -> "TunedNetwork":
        """BatchNorm's statistics are those of the weights that the trunk came with: there is no training mode."""
        return super().train(False)


def finetuning(model: ServingModel, data_set: DataSet, config: TrainingConfig) -> Task:
    """What `fit` is to do; it changes `model` itself."""
    torch.manual_seed(config.seed)
    learner = TunedNetwork(model, config.tuned_blocks)
    at_once = min(config.batch_images, config.epoch_images or len(data_set["train"]))  # one whole batch at least

    def loader(epoch: int) -> DataLoader[Any]:
        images = AugmentedImages(data_set["train"], config, view=epoch, crop_width=min(config.crop_width, config.width))
        sampler = epoch_sampler(data_set["train"], config, epoch)
        return DataLoader(images, at_once, sampler=sampler, num_workers=config.processes, drop_last=True)

    validation = PreparedImages(data_set["validation"], config)
    judge = DataLoader(validation, BATCH_OF_WIDE_IMAGES, num_workers=config.processes)
    return Task(learner, _groups(learner, config), loader, judge)


def _groups(learner: TunedNetwork, config: TrainingConfig) -> list[dict[str, Any]]:
    """Each tuned block with its learning rate, the earlier the lower; the head, which starts from nothing, with the highest."""
    blocks = learner.model.trunk[learner.frozen :]
    tuned = [
        {"params": list(block.parameters()), "lr": config.learning_rate * config.block_decay**distance}
        for distance, block in zip(range(len(blocks) - 1, -1, -1), blocks, strict=True)
    ]
    head = {"params": [learner.model.head.weight, learner.model.bias], "lr": config.learning_rate * _HEAD_FACTOR}
    return [*tuned, head]
