"""Two models on the same images: how often each is right, how often they agree, and whether the difference could be chance."""

from collections.abc import Iterable
from dataclasses import dataclass

from inference.bundle import Bundle
from inference.classifier import Classifier, ClassifierError, Verdict
from inference.errors import ImageError
from inference.images import ImageLimits, open_document
from inference.preprocess import prepare
from registry.errors import NotComparable

Labelled = tuple[str, bytes, int]
"""An image's name, its bytes, and the place of its true class in the labels of the first model."""


@dataclass(frozen=True, slots=True)
class Disagreement:
    """An image that two models answer differently."""

    name: str
    truth: str
    first: Verdict
    second: Verdict


@dataclass(frozen=True, slots=True)
class Comparison:
    """What two models answered: how many of `images` each got right, and how many only the one or the other.

    `unreadable` names the images that could not be decoded, which count nowhere.
    """

    images: int
    first_right: int
    second_right: int
    only_first_right: int
    only_second_right: int
    disagreements: tuple[Disagreement, ...]
    unreadable: tuple[str, ...]

    @property
    def agreement(self) -> float:
        """The share of images that both answer alike."""
        return 1 - len(self.disagreements) / self.images

    @property
    def p_value(self) -> float:
        """McNemar's exact test: how likely so uneven a split of the images that only one gets right is, if both are as good."""
        from scipy.stats import binomtest  # late: this module is part of every service, and scipy takes 60 MB

        uneven = self.only_first_right + self.only_second_right
        return float(binomtest(self.only_first_right, uneven).pvalue) if uneven else 1.0


@dataclass(frozen=True, slots=True)
class Agreement:
    """How many of `images` two models answer alike; `unreadable` names those that could not be decoded."""

    images: int
    alike: int
    unreadable: tuple[str, ...]


def open_model(bundle: Bundle) -> Classifier:
    """The bundle's model, on the CPU. Raises `NotComparable` if it cannot be run."""
    try:
        return Classifier(bundle, device="cpu")
    except ClassifierError as error:
        raise NotComparable(f"The model {bundle.manifest.name} cannot be run: {error}") from error


def compare(first: Classifier, second: Classifier, images: Iterable[Labelled]) -> Comparison:
    """Both models' answers to labelled images. Raises `NotComparable` where their classes differ or no image can be read."""
    _refuse_other_labels(first, second)
    rights: list[tuple[bool, bool]] = []
    disagreements: list[Disagreement] = []
    unreadable: list[str] = []
    for name, data, target in images:
        answers = _answers(first, second, data)
        if answers is None:
            unreadable.append(name)
            continue
        truth = first.labels[target]
        rights.append((answers[0].predicted_class == truth, answers[1].predicted_class == truth))
        if answers[0].predicted_class != answers[1].predicted_class:
            disagreements.append(Disagreement(name, truth, *answers))
    if not rights:
        raise NotComparable("There is no image that could be read, so nothing to compare by.")
    return Comparison(
        images=len(rights),
        first_right=sum(one for one, _ in rights),
        second_right=sum(two for _, two in rights),
        only_first_right=rights.count((True, False)),
        only_second_right=rights.count((False, True)),
        disagreements=tuple(disagreements),
        unreadable=tuple(unreadable),
    )


def agreement(first: Classifier, second: Classifier, images: Iterable[tuple[str, bytes]]) -> Agreement:
    """How far both models agree on images that nobody labelled. Raises `NotComparable` where their classes differ."""
    _refuse_other_labels(first, second)
    alike, unreadable = [], []
    for name, data in images:
        answers = _answers(first, second, data)
        if answers is None:
            unreadable.append(name)
        else:
            alike.append(answers[0].predicted_class == answers[1].predicted_class)
    return Agreement(len(alike), sum(alike), tuple(unreadable))


def _refuse_other_labels(first: Classifier, second: Classifier) -> None:
    if set(first.labels) != set(second.labels):
        raise NotComparable(f"Their classes differ: {', '.join(first.labels)} and {', '.join(second.labels)}.")


def _answers(first: Classifier, second: Classifier, data: bytes) -> tuple[Verdict, Verdict] | None:
    """Both verdicts on the first page; None if it cannot be read."""
    try:
        return _verdict(first, data), _verdict(second, data)
    except ImageError:
        return None


def _verdict(classifier: Classifier, data: bytes) -> Verdict:
    spec = classifier.spec
    with open_document(data, ImageLimits()) as document:
        pixels = prepare(document.page(1, at_least=(spec.width, spec.height)), spec)
    return classifier.classify([pixels])[0]
