"""What a training leaves in its folder, but for the training itself."""

import copy
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from inference.bundle import Bundle
from training import train
from training.assemble import Candidate
from training.config import TrainingConfig
from training.envelope import fit_familiar
from training.fit import Epoch
from training.model import FEATURES, ServingModel
from training.progress import silent
from training.record import WEIGHTS
from training.train import Tracking, train_candidate


def test_the_weights_kept_know_what_is_familiar(
    random_model: ServingModel,
    exported_model: Bundle,
    make_data_set: Callable[..., Path],
    make_config: Callable[..., TrainingConfig],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    familiar = fit_familiar(np.random.default_rng(0).random((8, FEATURES), dtype=np.float32))

    def assembled(model: ServingModel, *_: Any, **__: Any) -> Candidate:
        model.familiar = familiar
        return Candidate(exported_model, {})

    epoch = Mock(spec=Epoch, number=1, validation_loss=0.5)
    monkeypatch.setattr(train, "train_network", lambda *_, **__: (copy.deepcopy(random_model), [epoch]))
    monkeypatch.setattr(train, "assemble", assembled)
    monkeypatch.setattr(train, "tracked_run", lambda *_, **__: nullcontext(Mock(run_id="1")))
    config = make_config(make_data_set(), weights=None)
    train_candidate(config, tmp_path / "run", Tracking("sqlite://", "lines", "tiny"), silent)
    kept = load_file(tmp_path / "run" / WEIGHTS)
    assert torch.equal(kept["familiar.mean"], familiar.mean)
    assert torch.equal(kept["familiar.directions"], familiar.directions)
