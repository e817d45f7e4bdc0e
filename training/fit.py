"""Train the linear head on frozen features: logistic regression, its weight decay chosen on validation."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from training.config import TrainingConfig

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Labelled:
    """Pooled features (n x features) and targets (n)."""

    features: FloatArray
    targets: IntArray


@dataclass(frozen=True, slots=True)
class Head:
    """A linear layer (classes x features, classes), how it was regularised and what it loses (cross entropy, nats)."""

    weight: Tensor
    bias: Tensor
    weight_decay: float
    validation_loss: float
    train_loss: float


def fit_head(train: Labelled, validation: Labelled, config: TrainingConfig) -> Head:
    """The head with the lowest validation loss among `config.weight_decays`. Deterministic: the problem is convex."""
    candidates = [_fit(train, validation, config, weight_decay) for weight_decay in config.weight_decays]
    return min(candidates, key=lambda head: head.validation_loss)


def _fit(train: Labelled, validation: Labelled, config: TrainingConfig, weight_decay: float) -> Head:
    """L-BFGS on standardised features; the standardisation is folded into the layer afterwards."""
    features, targets = torch.from_numpy(train.features).double(), torch.from_numpy(train.targets)
    mean, deviation = features.mean(dim=0), features.std(dim=0).clamp_min(1e-6)
    standardised = (features - mean) / deviation
    weight = torch.zeros(len(config.labels), features.shape[1], dtype=torch.float64, requires_grad=True)
    bias = torch.zeros(len(config.labels), dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.LBFGS([weight, bias], max_iter=config.max_iterations, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimiser.zero_grad()
        penalty = 0.5 * weight_decay * weight.square().sum()
        loss = functional.cross_entropy(standardised @ weight.T + bias, targets) + penalty
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        return loss

    optimiser.step(closure)  # type: ignore[no-untyped-call]  # torch leaves it untyped
    with torch.no_grad():
        weight, bias = weight / deviation, bias - weight @ (mean / deviation)
    losses = [_cross_entropy(weight, bias, labelled) for labelled in (validation, train)]
    return Head(weight.float(), bias.float(), weight_decay, *losses)


def _cross_entropy(weight: Tensor, bias: Tensor, labelled: Labelled) -> float:
    logits = torch.from_numpy(labelled.features).double() @ weight.T + bias
    return float(functional.cross_entropy(logits, torch.from_numpy(labelled.targets)))


def join(parts: Sequence[Labelled]) -> Labelled:
    """One set out of several, for example the plain and the augmented images."""
    return Labelled(np.concatenate([part.features for part in parts]), np.concatenate([part.targets for part in parts]))
