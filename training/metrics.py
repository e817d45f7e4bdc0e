"""How good a model's probabilities are, and how honest. All take probabilities (n x classes) and targets (n)."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support, roc_auc_score

from training.calibration import log_probabilities, negative_log_likelihood

FloatArray = npt.NDArray[np.floating[Any]]
IntArray = npt.NDArray[np.int64]

_CALIBRATION_BINS = 15


def summarise(probabilities: FloatArray, targets: IntArray, labels: Sequence[str], threshold: float) -> dict[str, Any]:
    """Everything that a bundle and a tracking server say of one split; `threshold` is the review threshold."""
    classes = list(range(len(labels)))
    predicted = probabilities.argmax(axis=1)
    precision, recall, f1, images = precision_recall_fscore_support(targets, predicted, labels=classes, zero_division=0.0)
    sure = probabilities.max(axis=1) >= threshold
    return {
        "images": len(targets),
        "accuracy": accuracy(probabilities, targets),
        "macro_f1": float(f1.mean()),
        "roc_auc": roc_auc(probabilities, targets),
        "log_loss": negative_log_likelihood(log_probabilities(probabilities), targets),
        "expected_calibration_error": expected_calibration_error(probabilities, targets),
        "brier_score": brier_score(probabilities, targets),
        "coverage": float(sure.mean()),
        "error_when_sure": float((predicted != targets)[sure].mean()) if sure.any() else 0.0,
        "by_class": {
            label: {
                "images": int(images[target]),
                "precision": float(precision[target]),
                "recall": float(recall[target]),
                "f1": float(f1[target]),
            }
            for target, label in enumerate(labels)
        },
        "confusion_matrix": confusion_matrix(targets, predicted, labels=classes).tolist(),
    }


def accuracy(probabilities: FloatArray, targets: IntArray) -> float:
    """The share of images whose most probable class is the right one."""
    return float((probabilities.argmax(axis=1) == targets).mean())


def roc_auc(probabilities: FloatArray, targets: IntArray) -> float:
    """The area under the ROC curve, from scores; with more than two classes the mean of one against the rest."""
    if probabilities.shape[1] == 2:
        return float(roc_auc_score(targets, probabilities[:, 1]))
    return float(roc_auc_score(targets, probabilities, multi_class="ovr"))


def expected_calibration_error(probabilities: FloatArray, targets: IntArray, bins: int = _CALIBRATION_BINS) -> float:
    """The mean gap between confidence and accuracy over bins of equal width (Guo et al. 2017, equation 3)."""
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == targets
    places = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    members = [places == place for place in range(bins)]
    return float(
        sum(member.mean() * abs(right[member].mean() - confidence[member].mean()) for member in members if member.any())
    )


def brier_score(probabilities: FloatArray, targets: IntArray) -> float:
    """The mean squared distance to the truth, summed over the classes (Brier 1950): 0 is perfect, 2 the worst."""
    truth = np.eye(probabilities.shape[1])[targets]
    return float(np.square(probabilities - truth).sum(axis=1).mean())
