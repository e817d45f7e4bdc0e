"""Weights that cannot be had are one sentence, whatever is wrong with them."""

import os
from collections.abc import Callable
from pathlib import Path
from urllib.error import URLError

import pytest
import torch
from safetensors.torch import save_file
from torchvision.models import mobilenet_v2

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


Serve = Callable[[object], list[str]]


@pytest.fixture
def serve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Serve:
    """Have torch download a file with that object, or fail by that error; gives the checksums that it is asked to compare."""
    checksums: list[str] = []
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))

    def answer(served: object) -> list[str]:
        def download(url: str, path: str, hash_prefix: str, progress: bool) -> None:
            checksums.append(hash_prefix)
            if isinstance(served, Exception):
                raise served
            torch.save(served, path)

        monkeypatch.setattr(torch.hub, "download_url_to_file", download)
        return checksums

    return answer


def test_a_download_is_compared_with_its_checksum(serve: Serve) -> None:
    state = mobilenet_v2().state_dict()
    checksums = serve(state)
    network = load_imagenet_network(None)
    assert all(torch.equal(tensor, state[name]) for name, tensor in network.state_dict().items())
    assert not network.training
    assert checksums == ["7ebf99e0"]


@pytest.mark.parametrize("error", [URLError("no route"), RuntimeError('invalid hash value (expected "7ebf99e0")')])
def test_a_download_that_fails_names_the_way_out(serve: Serve, error: Exception) -> None:
    serve(error)
    with pytest.raises(NoWeights, match="--weights"):
        load_imagenet_network(None)


class Intruder:
    """Makes a folder when it is unpickled."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return os.mkdir, (str(self.folder),)


def test_a_download_that_is_no_mere_weights_runs_nothing(serve: Serve, tmp_path: Path) -> None:
    serve({"features.0.0.weight": Intruder(tmp_path / "owned")})
    with pytest.raises(NoWeights, match=r"has no ImageNet weights; name a local one by --weights\.$"):
        load_imagenet_network(None)
    assert not (tmp_path / "owned").exists()
