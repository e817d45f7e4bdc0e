from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from training.config import TrainingConfig
from training.errors import Diverged, OtherRun
from training.fit import Epoch, Task, fit
from training.progress import silent

GENERATOR = torch.Generator().manual_seed(3)
POINTS = torch.randn(64, 4, generator=GENERATOR)
TARGETS = (POINTS[:, 0] > 0).long()
CONFIG = TrainingConfig(data=Path("points"), epochs=6, learning_rate=0.05, precision="no", processes=0)


def make_task(
    learner: nn.Module, *, targets: torch.Tensor = TARGETS, rate: float = 0.05, epochs: list[int] | None = None
) -> Task:
    def loader(epoch: int) -> DataLoader[Any]:
        if epochs is not None:
            epochs.append(epoch)
        return DataLoader(TensorDataset(POINTS, TARGETS), 16)

    judge = DataLoader(TensorDataset(POINTS, targets), 32)
    return Task(learner, [{"params": list(learner.parameters()), "lr": rate}], loader, judge)


@pytest.fixture
def learner() -> nn.Module:
    torch.manual_seed(0)
    return nn.Linear(4, 2)


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., list[Epoch]]:
    def fit_here(task: Task, config: TrainingConfig = CONFIG, identity: str = "this") -> list[Epoch]:
        seen: list[Epoch] = []
        epochs = fit(task, config, checkpoint=tmp_path / "c", identity=identity, on_epoch=seen.append, stage=silent)
        assert epochs[-len(seen) :] == seen
        return epochs

    return fit_here


@pytest.mark.parametrize("optimiser", ["adam", "adamw"])
def test_it_learns(learner: nn.Module, run, optimiser: str) -> None:
    epochs = run(make_task(learner), replace(CONFIG, optimiser=optimiser))
    assert len(epochs) == 6
    assert epochs[-1].validation_accuracy >= 0.95
    assert epochs[-1].train_loss < epochs[0].train_loss


def test_a_validation_loss_that_stands_still_lowers_the_rate_and_then_ends_the_run(learner: nn.Module, run) -> None:
    task = make_task(learner, targets=1 - TARGETS)  # the better it learns, the worse it is judged
    epochs = run(task, replace(CONFIG, epochs=30, plateau_patience=0, plateau_factor=0.5, stop_patience=3))
    assert [epoch.number for epoch in epochs] == [1, 2, 3, 4]
    assert [epoch.learning_rate for epoch in epochs] == pytest.approx([0.05, 0.05, 0.025, 0.0125])


def test_the_weights_of_the_best_epoch_are_kept(learner: nn.Module, run) -> None:
    epochs = run(make_task(learner, targets=1 - TARGETS), replace(CONFIG, stop_patience=3))
    loss = nn.functional.cross_entropy(learner(POINTS), 1 - TARGETS).detach()
    assert float(loss) == pytest.approx(epochs[0].validation_loss)


def test_a_run_that_was_interrupted_ends_as_one_that_was_not(run, tmp_path: Path) -> None:
    def trained(config: TrainingConfig, folder: Path, epochs: list[int]) -> torch.Tensor:
        torch.manual_seed(0)
        learner = nn.Linear(4, 2)
        fit(
            make_task(learner, epochs=epochs),
            config,
            checkpoint=folder / "c",
            identity="this",
            on_epoch=interrupt_after(3, epochs),
            stage=silent,
        )
        return learner.weight.detach()

    def interrupt_after(number: int, epochs: list[int]) -> Callable[[Epoch], None]:
        def on_epoch(epoch: Epoch) -> None:
            if epoch.number == number and epochs is interrupted:
                raise KeyboardInterrupt

        return on_epoch

    interrupted: list[int] = []
    with pytest.raises(KeyboardInterrupt):
        trained(CONFIG, tmp_path / "a", interrupted)
    resumed: list[int] = []
    weights = trained(CONFIG, tmp_path / "a", resumed)
    assert (interrupted, resumed) == ([1, 2, 3], [4, 5, 6])
    assert torch.equal(weights, trained(CONFIG, tmp_path / "b", []))


def test_a_checkpoint_of_another_run_is_refused(learner: nn.Module, run) -> None:
    run(make_task(learner))
    with pytest.raises(OtherRun, match="give another folder"):
        run(make_task(learner), identity="that")


def test_a_loss_that_is_no_number_ends_the_run(learner: nn.Module, run) -> None:
    with pytest.raises(Diverged, match="after epoch 1 is nan"):
        run(make_task(learner, rate=float("inf")))
