"""What an exported graph must prove before it may be served."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from inference.bundle import Bundle
from inference.classifier import Classifier
from inference.preprocess import Pixels
from training.errors import CamMismatch, ParityFailed
from training.metrics import accuracy
from training.model import ServingModel

FloatArray = npt.NDArray[np.floating[Any]]
IntArray = npt.NDArray[np.int64]

_LARGEST_DIFFERENCE = 1e-4
_LEAST_AGREEMENT = 0.997
_LARGEST_ACCURACY_LOSS = 0.001
_ROUNDING = 1e-9


def check_parity(model: ServingModel, bundle: Bundle, images: Sequence[Pixels]) -> float:
    """The largest difference in probability between torch and the full-precision graph. Raises `ParityFailed` above 1e-4."""
    with torch.inference_mode():
        logits = model.cpu().float()(torch.from_numpy(np.stack(images)))[0]
        expected = torch.softmax(logits / bundle.manifest.temperature, dim=1).numpy()
    verdicts = Classifier(bundle, device="cpu").classify(images)
    found = np.array([list(verdict.probabilities.values()) for verdict in verdicts])
    difference = float(np.abs(found - expected).max())
    if not difference <= _LARGEST_DIFFERENCE:
        raise ParityFailed(f"{ParityFailed.__doc__} Their probabilities differ by {difference:.2e}.")
    return difference


def check_cam(model: ServingModel, bundle: Bundle, images: Sequence[Pixels]) -> float:
    """The largest difference between the graph's class activation map and captum's LayerGradCam of the network, for the class
    that the graph chose. Raises `CamMismatch` above 1e-4.
    """
    from captum.attr import LayerGradCam  # slow to import

    model = model.cpu().float()
    judge = LayerGradCam(lambda pixels: model(pixels)[0], model.trunk[-1])
    verdicts = Classifier(bundle, device="cpu").classify(images)
    differences = []
    for image, verdict in zip(images, verdicts, strict=True):
        target = bundle.manifest.labels.index(verdict.predicted_class)
        pixels = torch.tensor(image[None], dtype=torch.float32)
        expected = judge.attribute(pixels, target=target, relu_attributions=True)[0, 0].detach().numpy()
        differences.append(float(np.abs(verdict.cam - expected).max()))
    if not max(differences) <= _LARGEST_DIFFERENCE:
        raise CamMismatch(f"{CamMismatch.__doc__} They differ by {max(differences):.2e}.")
    return max(differences)


def quantization_objection(full: FloatArray, quantized: FloatArray, targets: IntArray) -> str | None:
    """Why the 8-bit graph may not be served, given both graphs' probabilities on validation; None if it may."""
    agreement = float((full.argmax(axis=1) == quantized.argmax(axis=1)).mean())
    loss = accuracy(full, targets) - accuracy(quantized, targets)
    if agreement < _LEAST_AGREEMENT - _ROUNDING:
        return f"It agrees with full precision on {agreement:.2%} of the validation images; {_LEAST_AGREEMENT:.1%} are needed."
    if loss > _LARGEST_ACCURACY_LOSS + _ROUNDING:
        return f"It loses {loss:.2%} of validation accuracy; at most {_LARGEST_ACCURACY_LOSS:.1%} are allowed."
    return None
