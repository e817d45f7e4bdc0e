"""Make confidences probabilities, and say below which a person should look. Both are decided on the validation split."""

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize_scalar

FloatArray = npt.NDArray[np.floating[Any]]
IntArray = npt.NDArray[np.int64]

_LOG_TEMPERATURE_BOUNDS = (-3.0, 3.0)
_SMALLEST_PROBABILITY = 1e-30


def fit_temperature(probabilities: FloatArray, targets: IntArray) -> float:
    """The temperature with the lowest negative log-likelihood (Guo et al. 2017), for `probabilities` made at temperature 1."""
    logs = log_probabilities(probabilities)
    found = minimize_scalar(
        lambda exponent: negative_log_likelihood(logs / np.exp(exponent), targets),
        bounds=_LOG_TEMPERATURE_BOUNDS,
        method="bounded",
    )
    return float(np.exp(found.x))


def apply_temperature(probabilities: FloatArray, temperature: float) -> FloatArray:
    """`probabilities` made at temperature 1 as they are at `temperature`."""
    scaled = log_probabilities(probabilities) / temperature
    exponentials = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    return np.asarray(exponentials / exponentials.sum(axis=1, keepdims=True))


def log_probabilities(probabilities: FloatArray) -> FloatArray:
    """Logits up to a constant for each row, which is all that a softmax needs."""
    return np.log(np.maximum(probabilities.astype(np.float64), _SMALLEST_PROBABILITY))


def negative_log_likelihood(logits: FloatArray, targets: IntArray) -> float:
    """The mean over the rows, in nats."""
    highest = logits.max(axis=1)
    normaliser = highest + np.log(np.exp(logits - highest[:, None]).sum(axis=1))
    return float((normaliser - logits[np.arange(len(targets)), targets]).mean())


def review_threshold(probabilities: FloatArray, targets: IntArray, target_error: float) -> float:
    """The lowest confidence at which what is not reviewed has at most `target_error` errors, from the risk-coverage curve
    (Geifman and El-Yaniv 2017); 1 if no confidence is high enough.
    """
    confidence = probabilities.max(axis=1)
    order = np.argsort(-confidence, kind="stable")
    wrong = (probabilities.argmax(axis=1) != targets)[order]
    risk = np.cumsum(wrong) / np.arange(1, len(wrong) + 1)
    ranked = confidence[order]
    last_of_its_confidence = np.append(ranked[1:] < ranked[:-1], True)
    allowed = np.flatnonzero((risk <= target_error) & last_of_its_confidence)
    return float(ranked[allowed[-1]]) if allowed.size else 1.0
