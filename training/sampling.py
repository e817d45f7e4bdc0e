"""Which images an epoch sees: a subset of the documents, and each class and source with its due weight."""

import random
from collections import Counter
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.utils.data import RandomSampler, Sampler, WeightedRandomSampler

from training.config import TrainingConfig
from training.data import Sample


def subset(samples: Sequence[Sample], share: float, seed: int) -> list[Sample]:
    """Whole documents at random, until they hold `share` of the samples: the same ones for the same seed."""
    groups = sorted({sample.group for sample in samples})
    random.Random(seed).shuffle(groups)  # noqa: S311  # repeatable, and no secret
    sizes = Counter(sample.group for sample in samples)
    kept: set[str] = set()
    number = 0
    for group in groups:
        if number >= share * len(samples):
            break
        kept.add(group)
        number += sizes[group]
    return [sample for sample in samples if sample.group in kept]


def epoch_sampler(samples: Sequence[Sample], config: TrainingConfig, epoch: int) -> Sampler[int]:
    """Draws the images of one epoch; the same ones for the same seed and epoch."""
    generator = torch.Generator().manual_seed(config.seed + epoch)
    number = config.epoch_images or len(samples)
    if config.balanced:
        return WeightedRandomSampler(balancing_weights(samples).tolist(), number, generator=generator)
    return RandomSampler(samples, num_samples=number, generator=generator)


def balancing_weights(samples: Sequence[Sample]) -> Tensor:
    """A weight for each sample (n), of sum 1 for each class. Within a class a source counts by the square root of its size:
    a large one must not drown the others, nor a small one be repeated without end.
    """
    sizes = Counter((sample.target, sample.source) for sample in samples)
    weights = torch.tensor([sizes[sample.target, sample.source] ** -0.5 for sample in samples], dtype=torch.float64)
    targets = torch.tensor([sample.target for sample in samples])
    for target in {sample.target for sample in samples}:
        weights[targets == target] /= weights[targets == target].sum()
    return weights
