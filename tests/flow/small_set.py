"""A small labelled set and a network, to walk the whole way to production with in a minute."""

import shutil
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import nn
from torchvision.models import mobilenet_v2

_IMAGES = Path(__file__).parents[2] / "samples" / "images"
_SPLITS = ("train", "train", "train", "validation", "test")
_HEIGHT, _WIDTH, _SEEN = 64, 256, 12


def write_lines(folder: Path) -> None:
    """Deal the samples that are single images into split/class/."""
    for label in ("handwritten", "printed"):
        for number, path in enumerate(_samples(label)):
            place = folder / _SPLITS[number % len(_SPLITS)] / label
            place.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, place)


def write_weights(path: Path) -> None:
    """MobileNetV2 with random weights, in the place of ImageNet's; its BatchNorm has seen some of the images, without which
    all features of random weights would vanish.
    """
    torch.manual_seed(0)
    network = mobilenet_v2()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None
    pixels = [np.asarray(Image.open(path).convert("RGB").resize((_WIDTH, _HEIGHT))) for path in _samples("")[::3][:_SEEN]]
    with torch.no_grad():
        network.train()(torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2) / 127.5 - 1)
    save_file(network.state_dict(), path)


def _samples(label: str) -> list[Path]:
    return sorted(path for path in _IMAGES.glob(f"{label}*") if path.suffix in {".jpg", ".png"})
