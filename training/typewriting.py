"""Learn what typewriting looks like: to a model of handwriting and print it is confident print.

What the trunk sees after its early and its late blocks tells typewriting apart; what it sees last, after it was tuned to tell
handwriting from print, does so less well. The teachers are the typewritten lines of the data set, if it has some, and those of
a set of their own whose other lines were drawn alike: else drawn would be what typewritten means.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from sklearn.linear_model import LogisticRegression

from training.config import TrainingConfig
from training.data import Sample, read_data_set
from training.features import compute_features
from training.model import ServingModel, Typewriting
from training.progress import Stage

FloatArray = npt.NDArray[np.floating[Any]]

TYPEWRITTEN = "typewritten"
_FEWEST = 50
_SMALLEST_DEVIATION = 1e-6
_INVERSE_PENALTY = 0.1
_STEPS = 3000


def learn_typewriting(
    model: ServingModel, known: Sequence[Sample], config: TrainingConfig, *, stage: Stage
) -> Typewriting | None:
    """Tell typewriting from `known`, which are training images; None where there are fewer than fifty typewritten lines."""
    typed, others = _teachers(config)
    if len(typed) < _FEWEST:
        return None
    rows = [_see(model, samples, config, stage) for samples in (typed, [*known, *others])]
    return fit_typewriting(*rows)


def fit_typewriting(typed: FloatArray, others: FloatArray) -> Typewriting:
    """A logistic regression on impressions (n x d each), both kinds with the same weight."""
    rows = np.concatenate([typed, others]).astype(np.float64)
    mean, deviation = rows.mean(axis=0), np.maximum(rows.std(axis=0), _SMALLEST_DEVIATION)
    truth = np.arange(len(rows)) < len(typed)
    regression = LogisticRegression(C=_INVERSE_PENALTY, max_iter=_STEPS, class_weight="balanced")
    regression.fit((rows - mean) / deviation, truth)
    weight = regression.coef_[0] / deviation
    bias = regression.intercept_ - weight @ mean
    return Typewriting(torch.from_numpy(weight).float(), torch.from_numpy(bias).float())


def _teachers(config: TrainingConfig) -> tuple[list[Sample], list[Sample]]:
    """Typewritten training lines, and others that were made alike."""
    typed = list(read_data_set(config.data, [TYPEWRITTEN])["train"])
    if config.typewritten is None:
        return typed, []
    drawn = read_data_set(config.typewritten, [TYPEWRITTEN])["train"]
    return [*typed, *drawn], list(read_data_set(config.typewritten, config.labels)["train"])


def _see(model: ServingModel, samples: Sequence[Sample], config: TrainingConfig, stage: Stage) -> FloatArray:
    """The impressions of each image as it is, and of one variation of it."""
    advance = stage("what typewriting looks like", 2 * len(samples))
    views = (compute_features(model, samples, config, view=view, of="impressions", advance=advance) for view in (None, 0))
    return np.concatenate(list(views))
