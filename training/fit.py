"""Train whatever maps a batch to logits: one loop for a head on cached features and for a network on images.

Cross-entropy, Adam or AdamW, a learning rate that falls when the validation loss stands still, early stopping, the weights of
the best epoch, and a checkpoint after each. Mixed precision and several devices are accelerate's: started by
`accelerate launch`, each process takes its share of every batch. The test split is never seen here.
"""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import Adam, AdamW, Optimizer
from torch.optim.lr_scheduler import ReduceLROnPlateau
from torch.utils.data import DataLoader

from training.checkpoint import IDENTITY, Checkpoint, own_checkpoint, write_checkpoint
from training.config import TrainingConfig
from training.errors import Diverged
from training.progress import Advance, Stage

_OPTIMISERS: dict[str, type[Adam | AdamW]] = {"adam": Adam, "adamw": AdamW}
_WARM_UP_STEPS = 100
_BEST, _LAST, _OPTIMISER = "best.", "last.", "optimiser."


@dataclass(frozen=True, slots=True)
class Epoch:
    """What one epoch came to; losses in nats, `learning_rate` that of the head."""

    number: int
    train_loss: float
    validation_loss: float
    validation_accuracy: float
    learning_rate: float
    images_per_second: float


@dataclass(frozen=True, slots=True)
class Task:
    """What to train: `learner` maps a batch's inputs to logits (n x classes), `groups` are its parameters with their
    learning rates, `loader` gives the training batches (inputs, targets) of an epoch, `validation` those that judge it, and
    `finish` brings what was learnt into the model.
    """

    learner: nn.Module
    groups: Sequence[dict[str, Any]]
    loader: Callable[[int], DataLoader[Any]]
    validation: DataLoader[Any]
    finish: Callable[[], None] = lambda: None


OnEpoch = Callable[[Epoch], None]


def fit(task: Task, config: TrainingConfig, *, checkpoint: Path, identity: str, on_epoch: OnEpoch, stage: Stage) -> list[Epoch]:
    """Train until the validation loss stands still, and bring the weights of the best epoch into the model.

    A run whose checkpoint is there goes on after its last epoch; `identity` names all that decides what it learns. Raises
    `OtherRun` if the checkpoint has another one, and `Diverged`.
    """
    run = _Run(task, config, checkpoint, identity)
    run.resume()
    while not run.is_over:
        epoch = run.next_epoch(stage)
        on_epoch(epoch)
    run.keep_best()
    task.finish()
    return run.epochs


class _Run:
    def __init__(self, task: Task, config: TrainingConfig, checkpoint: Path, identity: str) -> None:
        self._config, self._task, self._checkpoint, self._identity = config, task, checkpoint, identity
        self._accelerator = Accelerator(mixed_precision=config.precision)
        self._learner = self._accelerator.prepare(task.learner)
        self._validation = self._accelerator.prepare(task.validation)
        kind = _OPTIMISERS[config.optimiser]
        self._optimiser = self._accelerator.prepare(kind(task.groups, weight_decay=config.weight_decay))
        self._plateau = ReduceLROnPlateau(
            _bare(self._optimiser), factor=config.plateau_factor, patience=config.plateau_patience
        )
        self._best: dict[str, Tensor] = {}
        self.epochs: list[Epoch] = []

    @property
    def is_over(self) -> bool:
        """Whether there were enough epochs, or too many without a better one."""
        losses = [epoch.validation_loss for epoch in self.epochs]
        stalled = len(losses) - 1 - losses.index(min(losses)) if losses else 0
        return len(losses) >= self._config.epochs or stalled >= self._config.stop_patience

    def next_epoch(self, stage: Stage) -> Epoch:
        """Train, judge, lower the learning rate if need be, and write the checkpoint."""
        number = len(self.epochs) + 1
        rate = float(_bare(self._optimiser).param_groups[-1]["lr"])
        train_loss, images_per_second = self._train(number, stage)
        validation_loss, accuracy = self._judge(number, stage)
        if not math.isfinite(validation_loss):
            raise Diverged(f"{Diverged.__doc__} The validation loss after epoch {number} is {validation_loss}.")
        epoch = Epoch(number, train_loss, validation_loss, accuracy, rate, images_per_second)
        if all(validation_loss < earlier.validation_loss for earlier in self.epochs):
            self._best = {name: parameter.detach().clone() for name, parameter in self._trained()}
        self.epochs.append(epoch)
        self._plateau.step(validation_loss)
        self._save()
        return epoch

    def keep_best(self) -> None:
        """Put the weights of the best epoch back."""
        self._load(self._best)

    def resume(self) -> None:
        """Go on from the checkpoint, if there is one. Raises `OtherRun`."""
        found = own_checkpoint(self._checkpoint, self._identity)
        if found is None:
            return
        self.epochs = [Epoch(**epoch) for epoch in found.state["epochs"]]
        self._best = _under(_BEST, found.tensors)
        self._load(_under(_LAST, found.tensors))
        _restore_optimiser(_bare(self._optimiser), _under(_OPTIMISER, found.tensors), found.state["groups"])
        self._plateau.load_state_dict(found.state["plateau"])

    def _train(self, number: int, stage: Stage) -> tuple[float, float]:
        """The mean loss, and images per second."""
        drawn = self._task.loader(number)
        loader = self._accelerator.prepare(drawn)
        advance = self._stage(stage, f"epoch {number}", drawn)
        self._learner.train()
        losses, images, started = [], 0, time.monotonic()
        for step, (inputs, targets) in enumerate(loader):
            with _warming_up(_bare(self._optimiser), step if number == 1 else _WARM_UP_STEPS):
                losses.append(self._step(inputs, targets))
            done = len(targets) * self._accelerator.num_processes
            images += done
            advance(done)
        return float(torch.stack(losses).mean()), images / (time.monotonic() - started)

    def _step(self, inputs: Tensor, targets: Tensor) -> Tensor:
        self._optimiser.zero_grad()
        loss = functional.cross_entropy(self._learner(inputs), targets, label_smoothing=self._config.label_smoothing)
        self._accelerator.backward(loss)
        self._optimiser.step()
        return loss.detach()

    @torch.inference_mode()
    def _judge(self, number: int, stage: Stage) -> tuple[float, float]:
        """Loss and accuracy on validation."""
        advance = self._stage(stage, f"validation after epoch {number}", self._task.validation)
        self._learner.eval()
        answers, truths = [], []
        for inputs, targets in self._validation:
            logits, targets = self._accelerator.gather_for_metrics((self._learner(inputs).float(), targets))
            answers.append(logits.cpu())
            truths.append(targets.cpu())
            advance(len(targets))
        logits, targets = torch.cat(answers), torch.cat(truths)
        return float(functional.cross_entropy(logits, targets)), float((logits.argmax(dim=1) == targets).float().mean())

    def _stage(self, stage: Stage, description: str, loader: DataLoader[Any]) -> Advance:
        if not self._accelerator.is_main_process:
            return lambda done: None
        return stage(description, len(loader) * (loader.batch_size or 1))  # to within the last batch

    def _trained(self) -> list[tuple[str, nn.Parameter]]:
        named = self._accelerator.unwrap_model(self._learner).named_parameters()
        return [(name, parameter) for name, parameter in named if parameter.requires_grad]

    @torch.no_grad()
    def _load(self, weights: dict[str, Tensor]) -> None:
        for name, parameter in self._trained():
            parameter.copy_(weights[name])

    def _save(self) -> None:
        if not self._accelerator.is_main_process:
            return
        optimiser = _bare(self._optimiser).state_dict()
        tensors: dict[str, Tensor] = {f"{_LAST}{name}": parameter for name, parameter in self._trained()}
        tensors |= {f"{_BEST}{name}": tensor for name, tensor in self._best.items()}
        tensors |= {f"{_OPTIMISER}{i}.{name}": t for i, kept in optimiser["state"].items() for name, t in kept.items()}
        state = {
            IDENTITY: self._identity,
            "epochs": [asdict(epoch) for epoch in self.epochs],
            "groups": optimiser["param_groups"],
            "plateau": self._plateau.state_dict(),
        }
        write_checkpoint(self._checkpoint, Checkpoint(tensors, state))


@contextmanager
def _warming_up(optimiser: Optimizer, step: int) -> Iterator[None]:
    """For one step of a run the learning rates as they are so early: the trunk must not follow a head that knows nothing."""
    groups, share = optimiser.param_groups, min(1.0, (step + 1) / _WARM_UP_STEPS)
    rates = [group["lr"] for group in groups]
    for group, rate in zip(groups, rates, strict=True):
        group["lr"] = rate * share
    yield
    for group, rate in zip(groups, rates, strict=True):
        group["lr"] = rate


def _bare(optimiser: Any) -> Optimizer:
    """The optimiser without accelerate's wrapping, which ReduceLROnPlateau does not take."""
    return optimiser.optimizer if hasattr(optimiser, "optimizer") else optimiser  # type: ignore[no-any-return]  # untyped


def _under(prefix: str, tensors: Any) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _restore_optimiser(optimiser: Optimizer, tensors: dict[str, Tensor], groups: list[dict[str, Any]]) -> None:
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        index, _, key = name.partition(".")
        state.setdefault(int(index), {})[key] = tensor
    optimiser.load_state_dict({"state": state, "param_groups": groups})
