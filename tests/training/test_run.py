"""Both strategies on images that a test draws and a trunk with random weights."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torchvision.models import mobilenet_v2

from training.config import TrainingConfig
from training.cross_validation import assign_folds, by_source, leave_sources_out
from training.data import DataSet, read_data_set
from training.errors import EmptySplit, OtherRun, TooFewSources, WrongSetting
from training.features import pooled_features
from training.finetune import TunedNetwork
from training.fit import Epoch
from training.model import ServingModel, load_imagenet_network
from training.progress import silent
from training.run import train_network


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "random.safetensors"
    save_file(mobilenet_v2().state_dict(), path)
    return path


@pytest.fixture
def config(make_data_set: Callable[..., Path], make_config: Callable[..., TrainingConfig], weights: Path) -> TrainingConfig:
    made = make_config(make_data_set(images=6), weights=weights, epochs=3, batch_images=4, crop_width=32)
    return replace(made, processes=0)


@pytest.fixture
def data_set(config: TrainingConfig) -> DataSet:
    return read_data_set(config.data, config.labels)


def test_a_new_head_on_frozen_features_is_learnt(config: TrainingConfig, data_set: DataSet, tmp_path: Path) -> None:
    longer = replace(config, epochs=15, learning_rate=0.01)
    seen: list[Epoch] = []
    model, epochs = train_network(data_set, longer, tmp_path, cache=tmp_path / "f", on_epoch=seen.append, stage=silent)
    assert epochs == seen
    assert max(epoch.validation_accuracy for epoch in epochs) >= 0.75
    assert trunk_is_untouched(model, longer)
    features = torch.from_numpy(pooled_features(model, data_set["validation"], longer, cache=tmp_path / "f", advance=print))
    logits = model.head(features[:, :, None, None])[:, :, 0, 0] + model.bias
    targets = torch.tensor([sample.target for sample in data_set["validation"]])
    best = min(epochs, key=lambda epoch: epoch.validation_loss)
    assert float(torch.nn.functional.cross_entropy(logits, targets).detach()) == pytest.approx(best.validation_loss, abs=1e-3)


def test_features_are_computed_once(config: TrainingConfig, data_set: DataSet, tmp_path: Path, monkeypatch) -> None:
    train_network(data_set, config, tmp_path / "a", cache=tmp_path / "f", on_epoch=print, stage=silent)
    monkeypatch.setattr(ServingModel, "feature_map", None)
    train_network(data_set, config, tmp_path / "b", cache=tmp_path / "f", on_epoch=print, stage=silent)


def test_fine_tuning_changes_the_last_blocks_alone(config: TrainingConfig, data_set: DataSet, tmp_path: Path) -> None:
    tuning = replace(config, strategy="finetune", tuned_blocks=2, epochs=2)
    model, epochs = train_network(data_set, tuning, tmp_path, cache=tmp_path, on_epoch=print, stage=silent)
    assert len(epochs) == 2
    fresh = ServingModel(load_imagenet_network(tuning.weights), 2)
    changed = [not same_parameters(a, b) for a, b in zip(model.trunk, fresh.trunk, strict=True)]
    assert changed == [False] * 17 + [True] * 2
    assert buffers(model) == buffers(fresh)


def test_the_earlier_a_block_the_slower_it_learns(
    random_model: ServingModel, config: TrainingConfig, data_set: DataSet
) -> None:
    from training.finetune import finetuning

    task = finetuning(random_model, data_set, replace(config, strategy="finetune", tuned_blocks=3, block_decay=0.5))
    rates = [group["lr"] for group in task.groups]
    assert rates[:3] == pytest.approx([config.learning_rate * share for share in (0.25, 0.5, 1.0)])
    assert rates[3] > rates[2]
    assert isinstance(task.learner, TunedNetwork)


def test_each_source_is_left_out_once(make_data_set, config: TrainingConfig, tmp_path: Path) -> None:
    def three_sources(split: str, row: dict[str, str]) -> dict[str, str]:
        source = f"example.org/{int(row['file'].split('/')[-1][0]) % 3}"
        return row | {"source": source, "group": f"{split}-{source}"}

    data_set = read_data_set(make_data_set(images=6, change=three_sources), config.labels)
    results = list(leave_sources_out(data_set, config, tmp_path / "cv", folds=None, stage=silent))
    assert [{sample.source for sample in result.samples} for result in results] == assign_folds(data_set, None)
    assert {source: images for source, (_, images) in by_source(results).items()} == {f"example.org/{n}": 8 for n in range(3)}
    assert all(result.logits.shape == (8, 2) for result in results)


def test_folds_that_leave_a_class_out_are_refused(data_set: DataSet) -> None:
    with pytest.raises(TooFewSources, match="lacks a class"):
        assign_folds(data_set, None)


def test_sources_of_one_class_are_not_cross_validated(make_data_set, config: TrainingConfig, tmp_path: Path) -> None:
    data_set = read_data_set(make_data_set(change=lambda split, row: row if row["label"] == "printed" else None), config.labels)
    with pytest.raises(EmptySplit, match="train has no handwritten"):
        list(leave_sources_out(data_set, config, tmp_path / "cv", folds=None, stage=silent))


def trunk_is_untouched(model: ServingModel, config: TrainingConfig) -> bool:
    fresh = ServingModel(load_imagenet_network(config.weights), 2)
    return all(same_parameters(a, b) for a, b in zip(model.trunk, fresh.trunk, strict=True))


def same_parameters(a: torch.nn.Module, b: torch.nn.Module) -> bool:
    return all(torch.equal(one, other) for one, other in zip(a.parameters(), b.parameters(), strict=True))


def buffers(model: ServingModel) -> list[list[float]]:
    return [buffer.flatten().tolist() for buffer in model.trunk.buffers()]


def test_a_checkpoint_belongs_to_its_data_weights_and_settings(
    config: TrainingConfig, data_set: DataSet, make_data_set: Callable[..., Path], tmp_path: Path
) -> None:
    def train(data_set: DataSet, config: TrainingConfig) -> None:
        train_network(data_set, config, tmp_path / "run", cache=tmp_path / "f", on_epoch=print, stage=silent)

    train(data_set, config)
    train(data_set, replace(config, processes=1, target_error=0.01))  # these decide nothing that was learnt
    fewer = {**data_set, "train": data_set["train"][1:]}
    other_weights = tmp_path / "other.safetensors"
    save_file({**mobilenet_v2().state_dict()}, other_weights)
    for changed in ((fewer, config), (data_set, replace(config, seed=1)), (data_set, replace(config, weights=other_weights))):
        with pytest.raises(OtherRun):
            train(*changed)


def test_half_precision_of_16_bits_needs_a_graphics_card(config: TrainingConfig, data_set: DataSet, tmp_path: Path) -> None:
    with pytest.raises(WrongSetting, match="choose bf16"):
        train_network(data_set, replace(config, precision="fp16"), tmp_path, cache=tmp_path, on_epoch=print, stage=silent)
