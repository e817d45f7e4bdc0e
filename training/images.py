"""The images of a split as batches of prepared pixels."""

import random
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.utils.data import Dataset

from inference.preprocess import prepare
from training.augment import augment
from training.config import TrainingConfig
from training.data import Sample, decoded

BATCH_OF_WIDE_IMAGES = 4
"""One wide image runs through the caches of a processor; with more than a few of them at once it gets slower."""


class PreparedImages(Dataset[tuple[Tensor, int]]):
    """Pixels (height x width x 3, uint8) and target of each sample, as serving prepares them."""

    def __init__(self, samples: Sequence[Sample], config: TrainingConfig) -> None:
        self.samples, self.config = samples, config

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        sample, spec = self.samples[index], self.config.input_spec
        return torch.from_numpy(prepare(decoded(sample.read(), spec), spec).copy()), sample.target


class AugmentedImages(PreparedImages):
    """The same in a variation for each `view`, of which a strip of `crop_width` pixels is seen."""

    def __init__(self, samples: Sequence[Sample], config: TrainingConfig, *, view: int, crop_width: int) -> None:
        super().__init__(samples, config)
        self.view, self.crop_width = view, crop_width

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        sample, spec = self.samples[index], self.config.input_spec
        chance = random.Random(f"{self.config.seed}/{self.view}/{sample.sha256}")  # noqa: S311  # repeatable, and no secret
        varied = augment(decoded(sample.read(), spec), chance, share=self.config.augmentation)
        pixels = prepare(varied, spec)
        left = chance.randint(0, spec.width - self.crop_width)
        return torch.from_numpy(pixels[:, left : left + self.crop_width].copy()), sample.target
