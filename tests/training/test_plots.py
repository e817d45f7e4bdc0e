"""That the figures hold what they should; how they look was judged by eye."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from tests.training.conftest import LABELS
from training import plots
from training.evaluate import Evaluation


def texts(figure: Figure) -> str:
    """Everything that is written in a figure."""
    figure.canvas.draw()
    return " | ".join(found.get_text() for found in figure.findobj(lambda artist: hasattr(artist, "get_text")))


def test_learning_curves_show_what_was_measured() -> None:
    history = [
        {"train.loss": 0.9, "validation.loss": 0.8, "validation.accuracy": 0.7},
        {"train.loss": 0.5, "validation.loss": 0.6},
    ]
    loss, accuracy = plots.learning_curves(history).axes
    assert {line.get_label(): list(line.get_ydata()) for line in loss.lines} == {
        "train": [0.9, 0.5],
        "validation": [0.8, 0.6],
    }
    assert [line.get_label() for line in accuracy.lines] == ["validation"]
    assert list(accuracy.lines[0].get_xdata()) == [1, 2]


def test_a_confusion_matrix_counts(evaluation: Evaluation) -> None:
    shown = texts(plots.confusion(evaluation, LABELS, "test"))
    assert "Confusion matrix, test (n = 24)" in shown
    assert all(text in shown for text in ("10\n83.33%", "2\n16.67%", "11\n91.67%", "1\n8.33%"))


@pytest.mark.parametrize("draw", [plots.roc, plots.precision_recall])
def test_curves_have_the_colours_of_their_classes(draw, evaluation: Evaluation) -> None:  # type: ignore[no-untyped-def]  # a plot
    figure = draw(evaluation, LABELS, "validation")
    curves = [line for line in figure.axes[0].lines if not str(line.get_label()).startswith(("_", "chance"))]
    assert [line.get_color() for line in curves] == list(plots.CLASS_COLOURS[:2])
    assert all(str(line.get_label()).startswith(label) for line, label in zip(curves, LABELS, strict=True))
    assert "validation" in texts(figure)


def test_a_perfect_model_reaches_the_corner(evaluation: Evaluation) -> None:
    perfect = Evaluation(evaluation.samples, np.eye(2)[evaluation.targets])
    assert "area 1.0000" in texts(plots.roc(perfect, LABELS, "test"))
    assert "average precision 1.0000" in texts(plots.precision_recall(perfect, LABELS, "test"))


def test_a_reliability_diagram_has_a_histogram(evaluation: Evaluation) -> None:
    above, below = plots.reliability_diagram(evaluation, "test").axes
    assert sum(bar.get_height() for bar in below.patches) == len(evaluation.samples)
    assert len(above.containers[0].lines[0].get_xdata()) == 7
    assert "calibration error" in above.get_title(loc="left")


def test_a_risk_coverage_curve_marks_threshold_and_target(evaluation: Evaluation) -> None:
    figure = plots.risk_coverage_curve(evaluation, "test", threshold=0.9, target_error=0.005)
    shown = texts(figure)
    assert "target error 0.50%" in shown
    assert "threshold 0.900: 25.00% answered, 0.00% of them wrong" in shown


def test_a_threshold_that_nothing_reaches_is_not_marked(evaluation: Evaluation) -> None:
    assert "threshold" not in texts(plots.risk_coverage_curve(evaluation, "test", threshold=1.0, target_error=0.005))


def test_sources_are_listed_with_their_number_of_images(evaluation: Evaluation) -> None:
    figure = plots.source_accuracy(evaluation, "test")
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["example.org/a  (24)"]
    assert "87.50% over all (n = 24)" in texts(figure)


def test_matplotlib_is_left_as_it_was(evaluation: Evaluation) -> None:
    import matplotlib.pyplot as plt

    plots.roc(evaluation, LABELS, "test")
    assert plt.get_fignums() == []
