"""Features of the frozen trunk are kept while they are made, and of a trained one only where it was frozen."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from training import features
from training.config import TrainingConfig
from training.data import DataSet, read_data_set
from training.features import pooled_features, trained_features
from training.model import ServingModel


@pytest.fixture
def config(make_data_set: Callable[..., Path], make_config: Callable[..., TrainingConfig]) -> TrainingConfig:
    return replace(make_config(make_data_set(images=6), weights=None), processes=0)


@pytest.fixture
def data_set(config: TrainingConfig) -> DataSet:
    return read_data_set(config.data, config.labels)


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The sizes of the batches that the trunk runs over."""
    sizes: list[int] = []
    feature_map = ServingModel.feature_map

    def counted(model: ServingModel, pixels: Tensor) -> Tensor:
        sizes.append(len(pixels))
        return feature_map(model, pixels)

    monkeypatch.setattr(ServingModel, "feature_map", counted)
    return sizes


def test_an_interrupted_pass_goes_on(
    random_model: ServingModel,
    config: TrainingConfig,
    data_set: DataSet,
    tmp_path: Path,
    seen: list[int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def interrupt(done: int) -> None:
        if sum(seen) > 8:
            raise KeyboardInterrupt

    monkeypatch.setattr(features, "_KEPT_AT_ONCE", 4)
    with pytest.raises(KeyboardInterrupt):
        pooled_features(random_model, data_set["train"], config, cache=tmp_path / "f", advance=interrupt)
    seen.clear()
    done: list[int] = []
    found = pooled_features(random_model, data_set["train"], config, cache=tmp_path / "f", advance=done.append)
    assert (sum(seen), done) == (4, [8, 4])
    assert np.array_equal(
        found, pooled_features(random_model, data_set["train"], config, cache=tmp_path / "g", advance=done.append)
    )
    assert [path.suffix for path in (tmp_path / "f").iterdir()] == [".npz"]


@pytest.mark.parametrize(("strategy", "again"), [("transfer", 0), ("finetune", 12)])
def test_a_trunk_that_was_tuned_runs_again(
    random_model: ServingModel,
    config: TrainingConfig,
    data_set: DataSet,
    tmp_path: Path,
    seen: list[int],
    strategy: str,
    again: int,
) -> None:
    chosen = replace(config, strategy=strategy)
    known = pooled_features(random_model, data_set["train"], chosen, cache=tmp_path, advance=lambda done: None)
    seen.clear()
    found = trained_features(random_model, data_set["train"], chosen, cache=tmp_path, advance=lambda done: None)
    assert sum(seen) == again
    torch.testing.assert_close(found, known)
