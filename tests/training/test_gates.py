"""Every gate on an exported graph lets the right one through, and refuses the wrong one."""

import copy
from pathlib import Path

import numpy as np
import pytest
import torch

from inference.bundle import Bundle, InputSpec, Manifest
from training.errors import CamMismatch, ParityFailed
from training.export import export_graph
from training.gates import check_cam, check_parity, quantization_objection
from training.manifest import FULL, write_manifest
from training.model import FEATURES, ServingModel

RIGHT = np.tile([0.9, 0.1], (1000, 1))
IMAGES = [np.random.default_rng(level).integers(0, level, (32, 64, 3), dtype=np.uint8) for level in (40, 120, 255)]
TARGETS = np.zeros(1000, dtype=np.int64)


def with_wrong(number: int) -> np.ndarray:
    answers = RIGHT.copy()
    answers[:number] = [0.1, 0.9]
    return answers


@pytest.mark.parametrize(("wrong", "word"), [(0, None), (1, None), (2, "loses"), (4, "agrees")])
def test_a_quantized_graph_must_agree_and_be_as_good(wrong: int, word: str | None) -> None:
    objection = quantization_objection(RIGHT, with_wrong(wrong), TARGETS)
    assert (objection is None) if word is None else (word in str(objection))


def test_a_graph_of_another_network_is_refused(random_model: ServingModel, tmp_path: Path) -> None:
    bundle = exported(random_model, tmp_path)
    assert check_parity(random_model, bundle, IMAGES) < 1e-4
    other = copy.deepcopy(random_model)
    other.set_head(torch.zeros(2, FEATURES), torch.tensor([2.0, -2.0]))
    with pytest.raises(ParityFailed):
        check_parity(other, bundle, IMAGES)


class Elsewhere(ServingModel):
    """Answers as the network does, and says that it was all on the left."""

    def forward(self, pixels: torch.Tensor) -> tuple[torch.Tensor, ...]:
        logits, cam = super().forward(pixels)[:2]
        return logits, cam.cumsum(dim=3)


def test_a_graph_whose_map_is_not_grad_cam_is_refused(network: ServingModel, tmp_path: Path) -> None:
    assert check_cam(network, exported(network, tmp_path / "right"), IMAGES) < 1e-4
    lying = copy.deepcopy(network)
    lying.__class__ = Elsewhere
    bundle = exported(lying, tmp_path / "wrong")
    assert check_parity(network, bundle, IMAGES) < 1e-4
    with pytest.raises(CamMismatch, match=r"They differ by"):
        check_cam(network, bundle, IMAGES)


@pytest.fixture
def network(random_model: ServingModel) -> ServingModel:
    """A network for which every place speaks somewhat for each class, loud enough for a difference to show."""
    model = copy.deepcopy(random_model)
    model.set_head(torch.rand(2, FEATURES, generator=torch.Generator().manual_seed(0)), torch.zeros(2))
    pixels = torch.from_numpy(np.stack(IMAGES))
    with torch.no_grad():
        model.head.weight /= model.logits(model.feature_map(pixels)).abs().max()
    return model


def exported(model: ServingModel, directory: Path) -> Bundle:
    directory.mkdir(exist_ok=True)
    spec = InputSpec(height=32, width=64)
    export_graph(model, directory / FULL, spec)
    manifest = Manifest(
        name="m", labels=("a", "b"), input=spec, temperature=1, review_threshold=1, serve=FULL, files={}, created_at="now"
    )
    return write_manifest(directory, manifest)
