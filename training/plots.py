"""Figures of a training run, for the tracking server: how it learned, how good its answers are, and how honest.

Each function gives a matplotlib figure that belongs to nobody: there is no global state, no window and no style to restore.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, PercentFormatter
from scipy.stats import binomtest
from sklearn.metrics import auc, average_precision_score, confusion_matrix, precision_recall_curve, roc_curve

from training.calibration import risk_coverage
from training.evaluate import Evaluation
from training.metrics import CALIBRATION_BINS, Reliability, expected_calibration_error, reliability, roc_auc

FloatArray = npt.NDArray[np.floating[Any]]

CLASS_COLOURS = ("#b4552d", "#2f6690", "#5b8e7d", "#8d6a9f", "#c9a227")
"""One for each label in the model's order, in every figure: ink brown for handwritten, blue for printed."""
_INK, _FAINT, _LIGHT, _GRID, _WARNING = "#222222", "#8a8a8a", "#bdbdbd", "#e4e4e4", "#c1121f"
_PIXELS_PER_INCH = 144
_SIZE = (7.0, 5.0)
_CORNER = 0.1
_FEWEST_ANSWERS_DRAWN = 20
_UNSURE = 0.9  # where the bars of accuracies start, if all of them are above


def learning_curves(history: Sequence[Mapping[str, float]]) -> Figure:
    """Loss and accuracy by epoch. `history` has `train.loss`, `validation.loss`, `train.accuracy`, `validation.accuracy`
    for each epoch, or those of them that were measured.
    """
    figure = _figure((9.0, 4.2))
    epochs = np.arange(1, len(history) + 1)
    for place, name in enumerate(("loss", "accuracy")):
        axes = _axes(figure, 121 + place)
        for split, colour in (("train", _FAINT), ("validation", _INK)):
            values = np.array([epoch.get(f"{split}.{name}", np.nan) for epoch in history])
            if not np.isnan(values).all():
                axes.plot(epochs, values, color=colour, marker="o", markersize=3, label=split)
        axes.set_title(f"{name.capitalize()} by epoch", loc="left")
        axes.set_xlabel("epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        if axes.lines:
            axes.legend(frameon=False)
    return figure


def confusion(evaluation: Evaluation, labels: Sequence[str], split: str) -> Figure:
    """How many images of each class got each answer, shaded by the share of the class."""
    counts = confusion_matrix(evaluation.targets, evaluation.predicted, labels=range(len(labels)))
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    figure = _figure((6.0, 5.0))
    axes = _axes(figure)
    axes.imshow([[(*to_rgb(_colour(truth)), share) for share in row] for truth, row in enumerate(shares)])
    for truth, answer in np.ndindex(counts.shape):
        colour = "white" if shares[truth, answer] > 0.5 else _INK
        text = f"{counts[truth, answer]:,}\n{shares[truth, answer]:.2%}"
        axes.text(answer, truth, text, ha="center", va="center", color=colour, fontsize=13)
    axes.set_xticks(range(len(labels)), labels)
    axes.set_yticks(range(len(labels)), labels, rotation=90, va="center")
    axes.set_xlabel("answer")
    axes.set_ylabel("truth")
    axes.grid(visible=False)
    _title(axes, f"Confusion matrix, {split}", evaluation)
    return figure


def roc(evaluation: Evaluation, labels: Sequence[str], split: str) -> Figure:
    """The ROC curve of each class, from scores, and its corner enlarged."""
    figure = _figure()
    axes = _axes(figure)
    corner = _corner(axes, x=(0.0, _CORNER), y=(1 - _CORNER, 1.0))
    for target, label in enumerate(labels):
        false_positives, true_positives, _ = roc_curve(evaluation.targets == target, evaluation.probabilities[:, target])
        shown = f"{label} (area {auc(false_positives, true_positives):.4f})"
        for place in (axes, corner):
            place.plot(false_positives, true_positives, color=_colour(target), linestyle=_line(target), label=shown)
    axes.plot([0, 1], [0, 1], color=_FAINT, linestyle=":", linewidth=1, label="chance")
    _unit_square(axes, "false positive rate", "true positive rate")
    axes.legend(frameon=False, loc="lower right")
    area = roc_auc(evaluation.probabilities, evaluation.targets)
    _title(axes, f"ROC, {split}: area {area:.4f}", evaluation)
    return figure


def precision_recall(evaluation: Evaluation, labels: Sequence[str], split: str) -> Figure:
    """The precision-recall curve of each class, from scores, and its corner enlarged."""
    figure = _figure()
    axes = _axes(figure)
    corner = _corner(axes, x=(1 - _CORNER, 1.0), y=(1 - _CORNER, 1.0))
    for target, label in enumerate(labels):
        truth, scores = evaluation.targets == target, evaluation.probabilities[:, target]
        precision, recall, _ = precision_recall_curve(truth, scores)
        shown = f"{label} (average precision {average_precision_score(truth, scores):.4f})"
        for place in (axes, corner):
            place.plot(recall, precision, drawstyle="steps-post", color=_colour(target), linestyle=_line(target), label=shown)
    _unit_square(axes, "recall", "precision")
    axes.legend(frameon=False, loc="lower left")
    _title(axes, f"Precision and recall, {split}", evaluation)
    return figure


def reliability_diagram(evaluation: Evaluation, split: str) -> Figure:
    """What a confidence was worth, bin by bin, and below it how many images have it."""
    found = reliability(evaluation.probabilities, evaluation.targets)
    figure = _figure((6.0, 6.0))
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    for axes in (above, below):
        _restrain(axes)
    lowest = 1 / evaluation.probabilities.shape[1]
    above.plot([lowest, 1], [lowest, 1], color=_FAINT, linestyle=":", linewidth=1, label="perfectly calibrated")
    spread = _intervals(found)
    above.errorbar(
        found.confidence,
        found.accuracy,
        yerr=spread,
        fmt="o",
        color=_INK,
        markersize=5,
        ecolor=_FAINT,
        elinewidth=1.2,
        label="accuracy in the bin, 95 % interval",
    )
    above.set_ylabel("accuracy")
    above.set_ylim(-0.02, 1.02)
    above.legend(frameon=False, loc="lower right")
    below.hist(evaluation.confidence, bins=np.linspace(0, 1, CALIBRATION_BINS + 1).tolist(), color=_FAINT, log=True)
    below.set_xlabel("confidence")
    below.set_ylabel("images (log)")
    below.set_xlim(lowest, 1.005)
    error = expected_calibration_error(evaluation.probabilities, evaluation.targets)
    _title(above, f"Reliability, {split}: calibration error {error:.4f}", evaluation)
    return figure


def risk_coverage_curve(evaluation: Evaluation, split: str, *, threshold: float, target_error: float) -> Figure:
    """The errors among the surest answers, for every share of them; the review threshold and the target error are marked."""
    curve = risk_coverage(evaluation.probabilities, evaluation.targets)
    figure = _figure()
    axes = _axes(figure)
    # Among the first few answers one error is a large share of them, which says nothing and would flatten the rest.
    drawn = curve.coverage * len(evaluation.samples) >= _FEWEST_ANSWERS_DRAWN
    axes.step(curve.coverage[drawn], curve.risk[drawn], where="post", color=_INK)
    axes.axhline(target_error, color=_WARNING, linestyle="--", linewidth=1, label=f"target error {target_error:.2%}")
    sure = evaluation.confidence >= threshold
    if sure.any():
        risk = float((evaluation.predicted != evaluation.targets)[sure].mean())
        shown = f"threshold {threshold:.3f}: {sure.mean():.2%} answered, {risk:.2%} of them wrong"
        axes.axvline(sure.mean(), color=_FAINT, linestyle=":", linewidth=1)
        axes.plot([sure.mean()], [risk], "o", color=CLASS_COLOURS[1], label=shown)
    axes.set_xlabel("coverage (share of the images answered without review)")
    axes.set_ylabel("risk (share of errors among them)")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(PercentFormatter(1.0))
    faultless = float(curve.coverage[drawn & (curve.risk == 0)].max(initial=0.0))
    axes.set_xlim(np.floor(10 * faultless - 0.5) / 10 if faultless > 0.5 else 0, 1.002)
    highest = max(target_error, float(curve.risk[drawn].max(initial=0.0)))
    axes.set_ylim(-0.02 * highest, 1.25 * highest)  # room above for the legend
    axes.legend(frameon=False, loc="upper left")
    _title(axes, f"Risk and coverage, {split}: area {curve.area:.5f}", evaluation)
    return figure


def source_accuracy(evaluation: Evaluation, split: str) -> Figure:
    """The accuracy on each source, the worst at the top."""
    sources = sorted(evaluation.accuracy_by_source().items(), key=lambda item: item[1]["accuracy"], reverse=True)
    names = [f"{name.removeprefix('github.com/')}  ({found['images']:,})" for name, found in sources]
    values = np.array([found["accuracy"] for _, found in sources])
    mean = float((evaluation.predicted == evaluation.targets).mean())
    start = 0.0 if values.min() < _UNSURE else _UNSURE
    figure = _figure((9.0, 1.4 + 0.26 * len(names)))
    axes = _axes(figure)
    colours = [_INK if value < mean else _LIGHT for value in values]
    axes.barh(names, values - start, left=start, height=0.7, color=colours)
    for place, value in enumerate(values):
        axes.text(1 + 0.01 * (1 - start), place, f"{value:.1%}", va="center", fontsize=8, color=_INK)
    axes.axvline(mean, color=_WARNING, linewidth=1)
    axes.set_xlim(start, 1 + 0.08 * (1 - start))
    axes.margins(y=0.01)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{share:.0%}" if share <= 1 else ""))
    axes.tick_params(axis="y", labelsize=8)
    axes.grid(visible=False, axis="y")
    axes.set_xlabel("accuracy; in brackets the number of images")
    figure.suptitle(_described(f"Accuracy by source, {split}: {mean:.2%} over all", evaluation), fontsize=12, ha="left", x=0.01)
    return figure


def _colour(target: int) -> str:
    return CLASS_COLOURS[target % len(CLASS_COLOURS)]


def _line(target: int) -> str:
    """Of two classes both have nearly the same curve: where the second is dashed the first shows through."""
    return "--" if target else "-"


def _corner(axes: Axes, *, x: tuple[float, float], y: tuple[float, float]) -> Axes:
    """A part of `axes` enlarged in its empty middle: a good classifier's curve lies in the corner."""
    inset = axes.inset_axes((0.3, 0.32, 0.45, 0.45), xlim=x, ylim=y)
    _restrain(inset)
    axes.indicate_inset_zoom(inset, edgecolor=_FAINT)
    return inset


def _intervals(found: Reliability) -> FloatArray:
    """How far the accuracy of each bin reaches down and up (2 x bins): Wilson's interval, 95 %."""
    right = np.rint(found.accuracy * found.images).astype(int)
    tests = [binomtest(int(k), int(n)).proportion_ci(method="wilson") for k, n in zip(right, found.images, strict=True)]
    low, high = np.array([interval.low for interval in tests]), np.array([interval.high for interval in tests])
    return np.maximum([found.accuracy - low, high - found.accuracy], 0.0)


def _figure(size: tuple[float, float] = _SIZE) -> Figure:
    figure = Figure(figsize=size, dpi=_PIXELS_PER_INCH, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _axes(figure: Figure, place: int = 111) -> Axes:
    axes = figure.add_subplot(place)
    _restrain(axes)
    return axes


def _restrain(axes: Axes) -> None:
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(_FAINT)
    axes.tick_params(colors=_INK, color=_FAINT, labelsize=9)
    axes.grid(color=_GRID, linewidth=0.8)
    axes.set_axisbelow(True)


def _unit_square(axes: Axes, x: str, y: str) -> None:
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.set_xlim(-0.01, 1.01)
    axes.set_ylim(-0.01, 1.01)


def _title(axes: Axes, text: str, evaluation: Evaluation) -> None:
    axes.set_title(_described(text, evaluation), loc="left", fontsize=12)


def _described(text: str, evaluation: Evaluation) -> str:
    return f"{text} (n = {len(evaluation.samples):,})"
