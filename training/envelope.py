"""Fit what a bundle knows of the pages that it was made for, from good lines only: a limit that was tuned on the pages that it
should notice would promise more than it keeps.

`fit_familiar` makes the graph tell how far an image lies from the training images, before it is exported; `fit_envelope` sets
the limits, after the exported graph was asked about the validation images.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from inference.bundle import Envelope
from inference.look import Look
from training.evaluate import Served
from training.model import Familiar

FloatArray = npt.NDArray[np.floating[Any]]

_DIRECTIONS = 64
_IMAGES_A_DIRECTION = 4  # with fewer the directions would explain every training image, and nothing else
_SMALLEST_DEVIATION = 1e-6
_TAIL = 0.001
_ROOM = 1.25
_ROOM_FOR_PALE_INK = 1.5
_DISTANT_SHARE = 0.002
_TYPEWRITTEN_SHARE = 0.005
_DIVIDED_SHARE = 0.002


def fit_familiar(features: FloatArray, *, directions: int = _DIRECTIONS) -> Familiar:
    """What pooled features (n x 1280) of training images have in common; their root mean square distance is 1.

    What the principal directions leave unexplained tells pages and pictures from lines better than the Mahalanobis distance to
    the classes' means, to k-means centres or to the nearest training images did when it was chosen.
    """
    rows = features / np.linalg.norm(features.astype(np.float64), axis=1, keepdims=True)
    mean, deviation = rows.mean(axis=0), np.maximum(rows.std(axis=0), _SMALLEST_DEVIATION)
    standardised = (rows - mean) / deviation
    variances, axes = np.linalg.eigh(standardised.T @ standardised / len(rows))  # ascending
    directions = min(directions, max(1, len(rows) // _IMAGES_A_DIRECTION))
    unexplained = max(float(variances[:-directions].sum()), _SMALLEST_DEVIATION)
    parts = (mean, deviation * np.sqrt(unexplained), axes[:, -directions:].T)
    return Familiar(*(torch.from_numpy(np.ascontiguousarray(part)).float() for part in parts))


def fit_envelope(looks: Sequence[Look], validation: Served) -> Envelope:
    """Limits from the `looks` of training images and from what the served graph says of the `validation` images.

    Documents differ more than the lines of one do, so limits at the thousandth line flag more than that of documents left out.
    With room of a quarter, and of a half for how pale their ink is, how they look flags hardly any.
    """
    rows = [(look.aspect_ratio, look.contrast, look.row_changes) for look in (*looks, *validation.looks)]
    dissents, distances, typewriting = zip(*validation.oddities, strict=True)
    aspects, contrasts, changes = np.array(rows).T
    return Envelope(
        min_aspect_ratio=float(np.quantile(aspects, _TAIL)) / _ROOM,
        max_aspect_ratio=float(np.quantile(aspects, 1 - _TAIL)) * _ROOM,
        min_contrast=float(np.quantile(contrasts, _TAIL)) / _ROOM_FOR_PALE_INK,
        max_row_changes=float(np.quantile(changes, 1 - _TAIL)) * _ROOM,
        max_dissent=_exceeded_by(dissents, _DIVIDED_SHARE),
        max_distance=None if None in distances else _exceeded_by(distances, _DISTANT_SHARE),
        max_typewriting=None if None in typewriting else _exceeded_by(typewriting, _TYPEWRITTEN_SHARE),
    )


def _exceeded_by(values: Sequence[float], share: float) -> float:
    """What so small a share of the values exceeds."""
    return float(np.quantile(values, 1 - share))
