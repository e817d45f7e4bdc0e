"""What a training refuses before a run is logged."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from training.config import TrainingConfig
from training.errors import EmptySplit, PictureInTwoSplits
from training.progress import silent
from training.train import Tracking, train_candidate

NOWHERE = Tracking("http://127.0.0.1:1", "penpress", "candidate")


def refused(config: TrainingConfig, folder: Path) -> None:
    try:
        train_candidate(config, folder, NOWHERE, silent)
    finally:
        assert not folder.exists()


def test_a_subset_of_one_class(make_data_set: Callable[..., Path], make_config: Callable[..., Any], tmp_path: Path) -> None:
    with pytest.raises(EmptySplit, match="The split train has no"):
        refused(make_config(make_data_set(), subset=0.5), tmp_path / "run")


def test_a_picture_in_two_splits(make_data_set: Callable[..., Path], make_config: Callable[..., Any], tmp_path: Path) -> None:
    data = make_data_set(change=lambda split, row: row | {"sha256": row["file"].removeprefix(f"{split}/")})
    with pytest.raises(PictureInTwoSplits):
        refused(make_config(data), tmp_path / "run")
