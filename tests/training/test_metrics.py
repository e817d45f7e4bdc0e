import numpy as np
import pytest

from training.calibration import risk_coverage
from training.metrics import (
    accuracy,
    accuracy_by,
    average_precision,
    brier_score,
    expected_calibration_error,
    reliability,
    roc_auc,
    summarise,
)

PROBABILITIES = np.array([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7], [0.6, 0.4]])
TARGETS = np.array([0, 1, 1, 0])
LABELS = ("handwritten", "printed")


def test_against_values_worked_out_by_hand() -> None:
    assert accuracy(PROBABILITIES, TARGETS) == 0.75
    # Printed images score 0.2 and 0.7, handwritten ones 0.1 and 0.4: three of four pairs are in order.
    assert roc_auc(PROBABILITIES, TARGETS) == 0.75
    # By score the printed class reads 1, 0, 1, 0 and the handwritten one 1, 0, 1, 0: precisions of 1 and 2/3 at the hits.
    assert average_precision(PROBABILITIES, TARGETS) == pytest.approx((1 + 2 / 3) / 2)
    # Each image has a bin of its own: gaps 0.1, 0.8, 0.3 and 0.4.
    assert expected_calibration_error(PROBABILITIES, TARGETS) == pytest.approx(0.4)
    assert brier_score(PROBABILITIES, TARGETS) == pytest.approx(2 * (0.01 + 0.64 + 0.09 + 0.16) / 4)


def test_a_summary_tells_the_classes_apart() -> None:
    summary = summarise(PROBABILITIES, TARGETS, LABELS, threshold=0.65)
    assert summary["confusion_matrix"] == [[2, 0], [1, 1]]
    assert summary["by_class"]["handwritten"] == {"images": 2, "precision": pytest.approx(2 / 3), "recall": 1.0, "f1": 0.8}
    assert summary["by_class"]["printed"]["recall"] == 0.5
    assert summary["coverage"] == 0.75
    assert summary["error_when_sure"] == pytest.approx(1 / 3)


def test_a_summary_averages_over_classes_and_by_their_size() -> None:
    probabilities = np.vstack([PROBABILITIES, [[0.9, 0.1], [0.7, 0.3]]])
    targets = np.append(TARGETS, [0, 0])
    summary = summarise(probabilities, targets, LABELS, threshold=0.5)
    assert summary["macro_precision"] == pytest.approx((4 / 5 + 1) / 2)
    assert summary["macro_recall"] == pytest.approx((1 + 1 / 2) / 2)
    assert summary["weighted_recall"] == pytest.approx(summary["accuracy"]) == pytest.approx(5 / 6)
    assert summary["weighted_f1"] == pytest.approx((4 * 8 / 9 + 2 * 2 / 3) / 6)
    assert summary["macro_f1"] == pytest.approx((8 / 9 + 2 / 3) / 2)


def test_where_no_answer_is_sure_none_of_them_is_wrong() -> None:
    summary = summarise(PROBABILITIES, TARGETS, LABELS, threshold=0.95)
    assert (summary["coverage"], summary["error_when_sure"]) == (0.0, 0.0)


def test_groups_are_told_apart() -> None:
    assert accuracy_by(PROBABILITIES, TARGETS, ["b", "a", "b", ""]) == {
        "unknown": {"images": 1, "accuracy": 1.0},
        "a": {"images": 1, "accuracy": 0.0},
        "b": {"images": 2, "accuracy": 1.0},
    }


def test_a_risk_coverage_curve_ranks_by_confidence() -> None:
    curve = risk_coverage(PROBABILITIES, TARGETS)
    assert curve.confidence.tolist() == [0.9, 0.8, 0.7, 0.6]
    assert curve.coverage.tolist() == [0.25, 0.5, 0.75, 1.0]
    assert curve.risk.tolist() == [0.0, 0.5, pytest.approx(1 / 3), 0.25]
    assert curve.area == pytest.approx((0 + 1 / 2 + 1 / 3 + 1 / 4) / 4)


def test_equal_confidences_are_kept_or_reviewed_together() -> None:
    curve = risk_coverage(np.array([[0.9, 0.1], [0.1, 0.9], [0.6, 0.4]]), np.array([0, 0, 0]))
    assert curve.coverage.tolist() == [pytest.approx(2 / 3), 1.0]
    assert curve.risk.tolist() == [0.5, pytest.approx(1 / 3)]


def test_a_bin_holds_its_images() -> None:
    found = reliability(np.array([[0.97, 0.03], [0.03, 0.97], [0.55, 0.45]]), np.array([0, 0, 0]))
    assert found.images.tolist() == [1, 2]
    assert found.accuracy.tolist() == [1.0, 0.5]
    assert found.confidence == pytest.approx([0.55, 0.97])


def test_certain_and_right_is_perfectly_calibrated() -> None:
    perfect = np.eye(2)[TARGETS]
    assert expected_calibration_error(perfect, TARGETS) == 0.0
    assert brier_score(perfect, TARGETS) == 0.0
