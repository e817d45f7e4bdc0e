"""Find images whose label is probably wrong: confident learning (Northcutt et al. 2021) on out-of-fold probabilities.

Every document is judged by a logistic regression that has seen none of its images, on the pooled features of the ImageNet
trunk: what a whole document is labelled wrongly is then found too.
"""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from training.data import DataSet, Sample
from training.errors import TooFewDocuments
from training.metrics import accuracy

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]

_WEIGHT_DECAY = 0.01
_MAX_ITERATIONS = 1000


@dataclass(frozen=True, slots=True)
class Located:
    """An image and the split that it is in."""

    split: str
    sample: Sample


@dataclass(frozen=True, slots=True)
class Suspect:
    """An image whose label is probably wrong; the probabilities are those of a model that never saw its document."""

    image: Located
    label: str
    suggested: str
    probabilities: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Audit:
    """The suspects, the least probable label first, and how far to trust them: the share of labels that the model agrees with.

    Where it agrees with few, as on a handful of documents, most suspects are its own mistakes.
    """

    images: Sequence[Located]
    suspects: Sequence[Suspect]
    agreement: float


def located(data_set: DataSet, splits: Sequence[str]) -> list[Located]:
    """The images of these splits."""
    return [Located(split, sample) for split in splits for sample in data_set[split]]


def require_every_label(images: Sequence[Located], labels: Sequence[str]) -> None:
    """Raises `TooFewDocuments` where a label has no image: a label is told to be wrong by those that have another one."""
    present = {image.sample.target for image in images}
    missing = [label for target, label in enumerate(labels) if target not in present]
    if missing:
        raise TooFewDocuments(f"There are no {' and no '.join(missing)} images here; wrong labels show only beside others.")


def audit_labels(images: Sequence[Located], features: FloatArray, labels: Sequence[str], *, folds: int, seed: int) -> Audit:
    """Look for label errors by the images' features (n x features). Raises `TooFewDocuments`."""
    from cleanlab.filter import find_label_issues  # takes seconds to import

    targets = np.array([image.sample.target for image in images], dtype=np.int64)
    groups = [image.sample.group for image in images]
    probabilities = out_of_fold(features, targets, groups, folds=folds, seed=seed)
    found = find_label_issues(targets, probabilities, return_indices_ranked_by="self_confidence", n_jobs=1)
    suspects = [_suspect(images[number], probabilities[number], labels) for number in found]
    return Audit(images, suspects, accuracy(probabilities, targets))


def out_of_fold(
    features: FloatArray, targets: IntArray, groups: Sequence[str], *, folds: int, seed: int
) -> npt.NDArray[np.float64]:
    """Probabilities (n x classes) of each image by a model that was fitted without the images of its group.

    Raises `TooFewDocuments` where a fold would leave a class without images to learn from.
    """
    classes = np.unique(targets)
    probabilities = np.zeros((len(targets), len(classes)))
    for known, asked in _folds(features, targets, groups, folds, seed):
        if len(np.unique(targets[known])) < len(classes):
            raise TooFewDocuments("A class has too few documents to judge one by the others; take more data or fewer folds.")
        model = make_pipeline(
            StandardScaler(), LogisticRegression(C=1 / (_WEIGHT_DECAY * len(known)), max_iter=_MAX_ITERATIONS)
        )
        probabilities[asked] = model.fit(features[known], targets[known]).predict_proba(features[asked])
    return probabilities


def _folds(
    features: FloatArray, targets: IntArray, groups: Sequence[str], folds: int, seed: int
) -> list[tuple[IntArray, IntArray]]:
    if len(set(groups)) < folds:
        raise TooFewDocuments(f"There are {len(set(groups))} documents, too few for {folds} folds.")
    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    with warnings.catch_warnings():  # that a class has fewer images than folds; whether each can be learnt is looked at later
        warnings.simplefilter("ignore", UserWarning)
        return [(known, asked) for known, asked in splitter.split(features, targets, groups) if len(asked)]


def _suspect(image: Located, probabilities: npt.NDArray[np.float64], labels: Sequence[str]) -> Suspect:
    return Suspect(
        image=image,
        label=labels[image.sample.target],
        suggested=labels[int(probabilities.argmax())],
        probabilities=dict(zip(labels, probabilities.tolist(), strict=True)),
    )
