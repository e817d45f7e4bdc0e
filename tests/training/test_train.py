"""The whole of a run, on images that a test draws: what is repeated, and what is refused."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from mlflow import MlflowClient
from safetensors.torch import load_file, save_file
from torchvision.models import mobilenet_v2

from training.config import TrainingConfig
from training.errors import EmptySplit, NoDataSet, OtherRun, PictureInTwoSplits
from training.progress import silent
from training.train import Tracking, train_candidate


@pytest.fixture
def config(make_data_set: Callable[..., Path], make_config: Callable[..., TrainingConfig], tmp_path: Path) -> TrainingConfig:
    torch.manual_seed(0)
    weights = tmp_path / "random.safetensors"
    save_file(mobilenet_v2().state_dict(), weights)
    return make_config(make_data_set(images=4), weights=weights, epochs=2, float_convolutions=(3,))


def test_a_finished_training_is_left_alone(config: TrainingConfig, tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    tracking = Tracking(uri, "penpress", "tiny")
    first = train_candidate(config, tmp_path / "run", tracking, silent)
    assert first is not None
    manifest = (first.bundle.directory / "bundle.json").read_bytes()

    again = train_candidate(config, tmp_path / "run", tracking, silent)
    assert again is not None
    assert again.run_id == first.run_id
    assert (again.bundle.directory / "bundle.json").read_bytes() == manifest

    with pytest.raises(OtherRun):
        train_candidate(replace(config, learning_rate=0.01), tmp_path / "run", tracking, silent)
    (run,) = MlflowClient(uri).search_runs(["1"])
    assert (run.info.run_id, run.info.status) == (first.run_id, "FINISHED")
    assert "familiar.mean" in load_file(tmp_path / "run" / "model.safetensors")


def test_a_subset_of_one_class_is_refused(
    make_data_set: Callable[..., Path], make_config: Callable[..., Any], tmp_path: Path
) -> None:
    with pytest.raises(EmptySplit, match="The split train has no"):
        refused(make_config(make_data_set(), subset=0.5), tmp_path / "run")


def test_a_picture_in_two_splits_is_refused(
    make_data_set: Callable[..., Path], make_config: Callable[..., Any], tmp_path: Path
) -> None:
    data = make_data_set(change=lambda split, row: row | {"sha256": row["file"].removeprefix(f"{split}/")})
    with pytest.raises(PictureInTwoSplits):
        refused(make_config(data), tmp_path / "run")


def refused(config: TrainingConfig, folder: Path) -> None:
    """Before a run is logged: nobody answers at this address."""
    try:
        train_candidate(config, folder, Tracking("http://127.0.0.1:1", "penpress", "candidate"), silent)
    finally:
        assert not folder.exists()


def test_typewritten_lines_that_are_not_there_are_missed_before_anything_is_learnt(
    make_data_set: Callable[..., Path], make_config: Callable[..., Any], tmp_path: Path
) -> None:
    with pytest.raises(NoDataSet, match="nowhere"):
        refused(make_config(make_data_set(), typewritten=tmp_path / "nowhere"), tmp_path / "run")
