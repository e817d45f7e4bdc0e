import numpy as np
import pytest

from training.metrics import accuracy, brier_score, expected_calibration_error, roc_auc, summarise

PROBABILITIES = np.array([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7], [0.6, 0.4]])
TARGETS = np.array([0, 1, 1, 0])


def test_against_values_worked_out_by_hand() -> None:
    assert accuracy(PROBABILITIES, TARGETS) == 0.75
    # Printed images score 0.2 and 0.7, handwritten ones 0.1 and 0.4: three of four pairs are in order.
    assert roc_auc(PROBABILITIES, TARGETS) == 0.75
    # Each image has a bin of its own: gaps 0.1, 0.8, 0.3 and 0.4.
    assert expected_calibration_error(PROBABILITIES, TARGETS) == pytest.approx(0.4)
    assert brier_score(PROBABILITIES, TARGETS) == pytest.approx(2 * (0.01 + 0.64 + 0.09 + 0.16) / 4)


def test_a_summary_tells_the_classes_apart() -> None:
    summary = summarise(PROBABILITIES, TARGETS, ("handwritten", "printed"), threshold=0.65)
    assert summary["confusion_matrix"] == [[2, 0], [1, 1]]
    assert summary["by_class"]["handwritten"] == {"images": 2, "precision": pytest.approx(2 / 3), "recall": 1.0, "f1": 0.8}
    assert summary["by_class"]["printed"]["recall"] == 0.5
    assert summary["coverage"] == 0.75
    assert summary["error_when_sure"] == pytest.approx(1 / 3)


def test_certain_and_right_is_perfectly_calibrated() -> None:
    perfect = np.eye(2)[TARGETS]
    assert expected_calibration_error(perfect, TARGETS) == 0.0
    assert brier_score(perfect, TARGETS) == 0.0
