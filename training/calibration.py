"""Make confidences probabilities, and say below which a person should look. Both are decided on the validation split."""

from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class RiskCoverage:
    """The risk-coverage curve (Geifman and El-Yaniv 2017): one point for each confidence that occurs, the highest first.

    `coverage` is the share of the images that have at least this `confidence`, `risk` the share of errors among them.
    """

    confidence: FloatArray
    coverage: FloatArray
    risk: FloatArray

    @property
    def area(self) -> float:
        """The mean risk over all coverages, from the first answer to the last: 0 is perfect."""
        widths = np.diff(self.coverage, prepend=0.0)
        return float((widths * self.risk).sum())


def risk_coverage(probabilities: FloatArray, targets: IntArray) -> RiskCoverage:
    """What keeping only the surest answers would cost and give, for every number of them."""
    confidence = probabilities.max(axis=1)
    order = np.argsort(-confidence, kind="stable")
    wrong, ranked = (probabilities.argmax(axis=1) != targets)[order], confidence[order]
    kept = np.arange(1, len(wrong) + 1)
    last_of_its_confidence = np.append(ranked[1:] < ranked[:-1], True)
    points = np.flatnonzero(last_of_its_confidence)
    return RiskCoverage(ranked[points], (kept / len(wrong))[points], (np.cumsum(wrong) / kept)[points])


def review_threshold(probabilities: FloatArray, targets: IntArray, target_error: float) -> float:
    """The lowest confidence at which what is not reviewed has at most `target_error` errors; 1 if none is high enough."""
    curve = risk_coverage(probabilities, targets)
    allowed = np.flatnonzero(curve.risk <= target_error)
    return float(curve.confidence[allowed[-1]]) if allowed.size else 1.0
