"""How good a model's probabilities are, and how honest. All take probabilities (n x classes) and targets (n)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.metrics import average_precision_score, confusion_matrix, precision_recall_fscore_support, roc_auc_score

from training.calibration import log_probabilities, negative_log_likelihood, risk_coverage

FloatArray = npt.NDArray[np.floating[Any]]
IntArray = npt.NDArray[np.int64]

CALIBRATION_BINS = 15
_SCORES = ("precision", "recall", "f1")


def summarise(probabilities: FloatArray, targets: IntArray, labels: Sequence[str], threshold: float) -> dict[str, Any]:
    """Everything that a bundle and a tracking server say of one split; `threshold` is the review threshold."""
    predicted = probabilities.argmax(axis=1)
    return {
        "images": len(targets),
        "accuracy": accuracy(probabilities, targets),
        **_averaged(predicted, targets, len(labels)),
        "roc_auc": roc_auc(probabilities, targets),
        "average_precision": average_precision(probabilities, targets),
        "log_loss": negative_log_likelihood(log_probabilities(probabilities), targets),
        "expected_calibration_error": expected_calibration_error(probabilities, targets),
        "brier_score": brier_score(probabilities, targets),
        **_at_threshold(probabilities, targets, threshold),
        "risk_coverage_area": risk_coverage(probabilities, targets).area,
        "by_class": _by_class(predicted, targets, labels),
        "confusion_matrix": confusion_matrix(targets, predicted, labels=range(len(labels))).tolist(),
    }


def accuracy_by(probabilities: FloatArray, targets: IntArray, groups: Sequence[str]) -> dict[str, dict[str, float]]:
    """The accuracy within each of `groups` (n names, empty where unknown), and of how many images, in the names' order."""
    right, names = probabilities.argmax(axis=1) == targets, np.array(groups)
    members = {name: names == name for name in sorted(set(groups))}
    return {
        name or "unknown": {"images": int(member.sum()), "accuracy": float(right[member].mean())}
        for name, member in members.items()
    }


def accuracy(probabilities: FloatArray, targets: IntArray) -> float:
    """The share of images whose most probable class is the right one."""
    return float((probabilities.argmax(axis=1) == targets).mean())


def roc_auc(probabilities: FloatArray, targets: IntArray) -> float:
    """The area under the ROC curve, from scores; with more than two classes the mean of one against the rest."""
    if probabilities.shape[1] == 2:
        return float(roc_auc_score(targets, probabilities[:, 1]))
    return float(roc_auc_score(targets, probabilities, multi_class="ovr"))


def average_precision(probabilities: FloatArray, targets: IntArray) -> float:
    """The area under the precision-recall curve as a step function, from scores; the mean over the classes."""
    truth = np.eye(probabilities.shape[1])[targets]
    return float(average_precision_score(truth, probabilities, average="macro"))


@dataclass(frozen=True, slots=True)
class Reliability:
    """Bins of confidence that hold images: their number, mean confidence and accuracy, in rising order of confidence."""

    images: IntArray
    confidence: FloatArray
    accuracy: FloatArray


def reliability(probabilities: FloatArray, targets: IntArray, bins: int = CALIBRATION_BINS) -> Reliability:
    """What a confidence was worth, in bins of equal width; empty ones are left out."""
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == targets
    places = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    members = [places == place for place in np.unique(places)]
    return Reliability(
        images=np.array([member.sum() for member in members]),
        confidence=np.array([confidence[member].mean() for member in members]),
        accuracy=np.array([right[member].mean() for member in members]),
    )


def expected_calibration_error(probabilities: FloatArray, targets: IntArray, bins: int = CALIBRATION_BINS) -> float:
    """The mean gap between confidence and accuracy over bins of equal width (Guo et al. 2017, equation 3)."""
    found = reliability(probabilities, targets, bins)
    return float(np.average(np.abs(found.accuracy - found.confidence), weights=found.images))


def brier_score(probabilities: FloatArray, targets: IntArray) -> float:
    """The mean squared distance to the truth, summed over the classes (Brier 1950): 0 is perfect, 2 the worst."""
    truth = np.eye(probabilities.shape[1])[targets]
    return float(np.square(probabilities - truth).sum(axis=1).mean())


def _averaged(predicted: IntArray, targets: IntArray, classes: int) -> dict[str, float]:
    """Precision, recall and F1, each class alike (macro) and by its number of images (weighted)."""
    found: dict[str, float] = {}
    for average in ("macro", "weighted"):
        scores = precision_recall_fscore_support(targets, predicted, labels=range(classes), average=average, zero_division=0.0)
        found |= {f"{average}_{name}": float(score) for name, score in zip(_SCORES, scores[:3], strict=True)}
    return found


def _by_class(predicted: IntArray, targets: IntArray, labels: Sequence[str]) -> dict[str, dict[str, float]]:
    classes = list(range(len(labels)))
    *scores, images = precision_recall_fscore_support(targets, predicted, labels=classes, zero_division=0.0)
    return {
        label: {"images": int(images[target])}
        | {name: float(score[target]) for name, score in zip(_SCORES, scores, strict=True)}
        for target, label in enumerate(labels)
    }


def _at_threshold(probabilities: FloatArray, targets: IntArray, threshold: float) -> dict[str, float]:
    wrong = probabilities.argmax(axis=1) != targets
    sure = probabilities.max(axis=1) >= threshold
    return {"coverage": float(sure.mean()), "error_when_sure": float(wrong[sure].mean()) if sure.any() else 0.0}
