"""Transfer learning: a linear head on pooled features of the frozen trunk, which are computed once and kept."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from training.config import TrainingConfig
from training.data import DataSet, Sample
from training.features import pooled_features
from training.fit import Task
from training.model import ServingModel
from training.progress import Stage
from training.sampling import epoch_sampler

_JUDGED_AT_ONCE = 1024


class Head(nn.Module):
    """A linear layer on standardised features."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, features: Tensor, classes: int) -> None:
        """Standardises by the statistics of `features` (n x features)."""
        super().__init__()
        self.register_buffer("mean", features.mean(dim=0))
        self.register_buffer("deviation", features.std(dim=0).clamp_min(1e-6))
        self.linear = nn.Linear(features.shape[1], classes)
        nn.init.zeros_(self.linear.weight)

    def forward(self, features: Tensor) -> Tensor:
        """Pooled features (n x features) to logits (n x classes)."""
        with torch.autocast(features.device.type, enabled=False):  # half precision gains nothing on one layer
            logits: Tensor = self.linear((features - self.mean) / self.deviation)
        return logits

    @torch.no_grad()
    def put_into(self, model: ServingModel) -> None:
        """Make it the head of `model`, the standardisation folded into its weights."""
        weight = self.linear.weight / self.deviation
        model.set_head(weight, self.linear.bias - weight @ self.mean)


def transferring(model: ServingModel, data_set: DataSet, config: TrainingConfig, *, cache: Path, stage: Stage) -> Task:
    """What `fit` is to do. The trunk runs over the images here and now, unless their features are in `cache`."""
    train, validation = data_set["train"], data_set["validation"]

    def features(samples: Sequence[Sample], view: int | None = None) -> Tensor:
        name = f"features of {len(samples)} images" + ("" if view is None else f", view {view + 1}")
        advance = stage(name, len(samples))
        return torch.from_numpy(pooled_features(model, samples, config, view=view, cache=cache, advance=advance))

    seen = [*train, *(sample for _ in range(config.views) for sample in train)]
    known = torch.cat([features(train), *(features(train, view) for view in range(config.views))])
    images = TensorDataset(known, _targets(seen))

    def loader(epoch: int) -> DataLoader[Any]:
        return DataLoader(images, config.batch_images, sampler=epoch_sampler(seen, config, epoch))

    torch.manual_seed(config.seed)
    learner = Head(known, len(config.labels))
    groups = [{"params": list(learner.linear.parameters()), "lr": config.learning_rate}]
    judge = DataLoader(TensorDataset(features(validation), _targets(validation)), _JUDGED_AT_ONCE)
    return Task(learner, groups, loader, judge, finish=lambda: learner.put_into(model))


def _targets(samples: Sequence[Sample]) -> Tensor:
    return torch.tensor([sample.target for sample in samples])
