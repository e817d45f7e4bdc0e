"""MobileNetV2 (Sandler et al. 2018) as it is trained here and as it is served.

The network ends in global average pooling and one linear layer. For such a network Grad-CAM equals the class activation map
(Selvaraju et al. 2017, appendix A), so that the map is one 1 x 1 convolution with the head's weights on the last feature map.
"""

import copy
from collections.abc import Sequence
from pathlib import Path
from pickle import UnpicklingError
from typing import cast

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torchvision.models import MobileNet_V2_Weights, MobileNetV2, mobilenet_v2

from training.errors import NoWeights

FEATURES = 1280
_MEAN = (0.485, 0.456, 0.406)
_STANDARD_DEVIATION = (0.229, 0.224, 0.225)
_WHITE = 255.0
_SHORTEST = 1e-6
_SEEN_AFTER = (3, 6, 10, 13, 17, 18)  # blocks of the trunk, the last of them its end


def load_imagenet_network(weights: Path | None) -> MobileNetV2:
    """MobileNetV2 with ImageNet weights, from a safetensors file with torchvision's keys or by torchvision's download.

    Raises `NoWeights`.
    """
    if weights is None:
        return _downloaded().eval()
    network = mobilenet_v2()
    try:
        network.load_state_dict(load_file(weights), strict=True)
    except (OSError, SafetensorError) as error:
        raise NoWeights(f"{weights} is not a safetensors file that can be read: {error}.") from error
    except RuntimeError as error:  # torch lists every key
        raise NoWeights(f"{weights} has the weights of another network than torchvision's mobilenet_v2.") from error
    return network.eval()


def _downloaded() -> MobileNetV2:
    """Torchvision's file is a pickle, of which torch reads nothing but tensors; its name holds its checksum."""
    network = mobilenet_v2()
    try:
        network.load_state_dict(MobileNet_V2_Weights.IMAGENET1K_V2.get_state_dict(check_hash=True, weights_only=True))
    except OSError as error:
        raise NoWeights(
            f"torchvision cannot download the ImageNet weights ({error}); name a local file by --weights."
        ) from error
    except (RuntimeError, UnpicklingError) as error:  # of several lines, some of them advice to trust the file
        raise NoWeights(
            "The file that torchvision downloaded has no ImageNet weights; name a local one by --weights."
        ) from error
    return network


class Familiar(nn.Module):
    """What training images have in common: their pooled features, brought to length 1, lie around `mean` (1280), spread by
    `deviation` (1280), for the most part in the space of a few `directions` (d x 1280, orthonormal).
    """

    mean: Tensor
    deviation: Tensor
    directions: Tensor

    def __init__(self, mean: Tensor, deviation: Tensor, directions: Tensor) -> None:
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("deviation", deviation)
        self.register_buffer("directions", directions)

    def forward(self, pooled: Tensor) -> Tensor:
        """The distance (n) of pooled features (n x 1280) from that space: the root of what its directions leave unexplained."""
        # Written out: onnxruntime, which quantises the graph, cannot infer the shape of a norm.
        length = pooled.square().sum(dim=1, keepdim=True).sqrt()
        standardised = (pooled / (length + _SHORTEST) - self.mean) / self.deviation
        explained = standardised @ self.directions.T
        unexplained = standardised.square().sum(dim=1) - explained.square().sum(dim=1)
        return unexplained.clamp_min(0).sqrt()


class Typewriting(nn.Module):
    """How much an image looks typewritten, from the impressions (n x d) that the trunk has of it."""

    weight: Tensor
    bias: Tensor

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        """`weight` has d elements, `bias` one."""
        super().__init__()
        self.register_buffer("weight", weight)
        self.register_buffer("bias", bias)

    def forward(self, impressions: Tensor) -> Tensor:
        """In logits (n): positive where typewriting is likelier than not."""
        return impressions @ self.weight + self.bias


class ServingModel(nn.Module):
    """The network with its input and output as bundles have them. BatchNorm stays in evaluation mode."""

    mean: Tensor
    familiar: Familiar | None
    typewriting: Typewriting | None

    def __init__(self, network: MobileNetV2, classes: int) -> None:
        """Takes the trunk of `network`, copied; the head starts at zero."""
        super().__init__()
        self.trunk = copy.deepcopy(network.features)
        self.register_buffer("mean", torch.tensor(_MEAN).view(1, 3, 1, 1) * _WHITE)
        _fold_scale(cast(nn.Conv2d, self.trunk[0][0]))
        self.head = nn.Conv2d(FEATURES, classes, kernel_size=1, bias=False)
        self.bias = nn.Parameter(torch.zeros(classes))
        nn.init.zeros_(self.head.weight)
        self.familiar = None
        self.typewriting = None
        self.eval()

    def set_head(self, weight: Tensor, bias: Tensor) -> None:
        """Put in a linear layer of classes x features."""
        with torch.no_grad():
            self.head.weight.copy_(weight[:, :, None, None])
            self.bias.copy_(bias)

    def feature_map(self, pixels: Tensor) -> Tensor:
        """uint8 pixels, n x height x width x 3, RGB, to the last feature map, n x 1280 x h x w."""
        return cast(Tensor, self.trunk(self.centred(pixels)))

    def pooled(self, pixels: Tensor) -> Tensor:
        """The spatial means of the last feature map (n x 1280)."""
        return self.feature_map(pixels).float().mean(dim=(2, 3))

    def impressions(self, pixels: Tensor) -> Tensor:
        """What the trunk sees after some of its blocks: the spatial means and deviations of the feature maps (n x 3632)."""
        return _impressions(self._feature_maps(pixels))

    def _feature_maps(self, pixels: Tensor) -> list[Tensor]:
        features, seen = self.centred(pixels), []
        for number, block in enumerate(self.trunk):
            features = block(features)
            if number in _SEEN_AFTER:
                seen.append(features)
        return seen

    def centred(self, pixels: Tensor) -> Tensor:
        """uint8 pixels, n x height x width x 3, to what the trunk takes: n x 3 x height x width, around the mean colour."""
        return pixels.permute(0, 3, 1, 2).float() - self.mean

    def logits(self, feature_map: Tensor) -> Tensor:
        """The last feature map to logits, n x classes."""
        return cast(Tensor, self.head(feature_map).mean(dim=(2, 3)) + self.bias)

    def forward(self, pixels: Tensor) -> tuple[Tensor, ...]:
        """`logits` (n x classes) and `cam` (n x classes x h x w), the share of each place in the logit, not negative; then
        `distance` (n), where it is known what is familiar, and `typewriting` (n), where it is known how that looks.
        """
        maps = self._feature_maps(pixels)
        features = maps[-1]
        contributions = self.head(features)
        logits = contributions.mean(dim=(2, 3)) + self.bias
        places = contributions.shape[2] * contributions.shape[3]
        cam = torch.relu(contributions) / places
        told = [logits, cam]
        if self.familiar is not None:
            told.append(self.familiar(features.mean(dim=(2, 3))))
        if self.typewriting is not None:
            told.append(self.typewriting(_impressions(maps)))
        return tuple(told)


def _impressions(maps: Sequence[Tensor]) -> Tensor:
    """Deviations are written out: onnxruntime, which quantises the graph, has no operator for them."""
    seen = []
    for features in (each.float() for each in maps):
        mean = features.mean(dim=(2, 3))
        seen += [mean, (features.square().mean(dim=(2, 3)) - mean.square()).clamp_min(0).sqrt()]
    return torch.cat(seen, dim=1)


def _fold_scale(convolution: nn.Conv2d) -> None:
    """Move the division by 255 and by the standard deviation into the first weights: the graph has less to do per pixel.

    The mean cannot move into a bias: the convolution pads with zeros, which must go on meaning the mean colour.
    """
    scale = torch.tensor(_STANDARD_DEVIATION).view(1, 3, 1, 1) * _WHITE
    with torch.no_grad():
        convolution.weight.div_(scale)
