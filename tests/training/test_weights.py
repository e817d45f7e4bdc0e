"""Weights that cannot be had are one sentence, whatever is wrong with them."""

from pathlib import Path
from urllib.error import URLError

import pytest
import torch
from safetensors.torch import save_file

from training import model
from training.errors import NoWeights
from training.model import load_imagenet_network


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(NoWeights, match="is not a safetensors file that can be read"):
        load_imagenet_network(tmp_path / "none.safetensors")


def test_a_file_that_is_no_safetensors(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    path.write_bytes(b"no weights at all")
    with pytest.raises(NoWeights, match="is not a safetensors file that can be read"):
        load_imagenet_network(path)


def test_the_weights_of_another_network(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    save_file({"conv1.weight": torch.zeros(3)}, path)
    with pytest.raises(NoWeights, match=r"has the weights of another network than torchvision's mobilenet_v2\.$"):
        load_imagenet_network(path)


def test_a_download_that_fails_names_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(**_: object) -> None:
        raise URLError("no route")

    monkeypatch.setattr(model, "mobilenet_v2", unreachable)
    with pytest.raises(NoWeights, match="--weights"):
        load_imagenet_network(None)
