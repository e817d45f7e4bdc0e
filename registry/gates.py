"""What stands between a version and production. Each gate is a function that gives an objection, or None.

That a bundle can be served (`serving_objection`) nobody can overrule: no process would swap it in. The gates of `GATES` are
judgements, which a person may overrule with a reason.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from inference.bundle import Bundle
from inference.classifier import Classifier, ClassifierError, WrongGraph
from inference.golden import check_golden
from registry.defaults import CALIBRATION_ERROR, MARGIN

_COMPARED = ("accuracy", "macro_f1")
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class Limits:
    """What the gates allow: by how much a metric may fall below that of the version in production, as a share (0.002 is 0.2
    points), and the calibration error on the test split (15 bins).
    """

    margin: float = MARGIN
    calibration_error: float = CALIBRATION_ERROR


@dataclass(frozen=True, slots=True)
class Contest:
    """The bundle that is to be promoted, and the one in production, with its version, if there is one that can be read."""

    candidate: Bundle
    champion: Bundle | None
    champion_version: str | None
    limits: Limits


Gate = Callable[[Contest], str | None]
Check = Callable[[Classifier], None]


def labels_objection(contest: Contest) -> str | None:
    """The classes must be those in production, in whatever order: results, filters and exports are made of their names."""
    champion, labels = contest.champion, contest.candidate.manifest.labels
    if champion is None or set(champion.manifest.labels) == set(labels):
        return None
    return f"its classes are {', '.join(labels)}; in production are {', '.join(champion.manifest.labels)}"


def same_test_objection(contest: Contest) -> str | None:
    """It must have been measured on the images that the version in production was measured on, if that one says on which."""
    expected = _test_fingerprint(contest.champion)
    found = _test_fingerprint(contest.candidate)
    if expected is None or found == expected:
        return None
    how = "it does not say on which images it was tested" if found is None else "it was tested on other images"
    return (
        f"{how}, so that it cannot be compared with version {contest.champion_version} in production by their metrics; "
        "`penpress registry compare` can"
    )


def metrics_objection(contest: Contest) -> str | None:
    """On the same test images no metric may be worse than in production by more than the margin."""
    champion = contest.champion
    if champion is None or _test_fingerprint(champion) is None:
        return None
    if _test_fingerprint(contest.candidate) != _test_fingerprint(champion):
        return None
    worse = [words for name in _COMPARED if (words := _worse(contest, champion, name))]
    return "; ".join(worse) or None


def calibration_objection(contest: Contest) -> str | None:
    """Its calibration error on the test split must be known and within the limit."""
    found, limit = measured_on_test(contest.candidate, "expected_calibration_error"), contest.limits.calibration_error
    if found is None:
        return "it does not state its calibration error on the test split"
    if found > limit + _ROUNDING:
        return f"its calibration error on the test split is {found:.4f}; at most {limit:.4f} are allowed"
    return None


GATES: dict[str, Gate] = {
    "labels": labels_objection,
    "same_test": same_test_objection,
    "metrics": metrics_objection,
    "calibration": calibration_objection,
}


def standing_aside(contest: Contest) -> dict[str, str]:
    """The gates that have nothing to compare with, and so can neither object nor approve, each with the reason."""
    in_production = f"version {contest.champion_version} in production"
    if contest.champion_version is None:
        return dict.fromkeys(("labels", "same_test", "metrics"), "nothing is in production yet")
    if contest.champion is None:
        return dict.fromkeys(("labels", "same_test", "metrics"), f"{in_production} is damaged")
    if _test_fingerprint(contest.champion) is None:
        return dict.fromkeys(("same_test", "metrics"), f"{in_production} does not say on which images it was tested")
    if same_test_objection(contest):
        return {"metrics": "there are no images that both were tested on"}
    return {}


def check_answers(classifier: Classifier) -> None:
    """The graph must answer a black and a white image, at once, with probabilities. Raises `WrongGraph`."""
    shape = (classifier.spec.height, classifier.spec.width, 3)
    try:
        verdicts = classifier.classify([np.full(shape, level, dtype=np.uint8) for level in (0, 255)])
    except Exception as error:  # onnxruntime has a class for each of its status codes, with no base of their own
        raise WrongGraph(f"The graph cannot be run: {error}.") from error
    if not all(math.isfinite(share) for verdict in verdicts for share in verdict.probabilities.values()):
        raise WrongGraph("The graph gives what are no probabilities.")


SERVING_CHECKS: tuple[Check, ...] = (check_answers, check_golden)
"""What a loaded graph must prove, in order; each raises a `ClassifierError`."""


def serving_objection(bundle: Bundle) -> str | None:
    """Why a verified bundle cannot be served; None if it can."""
    try:
        classifier = Classifier(bundle, device="cpu")
        for check in SERVING_CHECKS:
            check(classifier)
    except ClassifierError as error:
        return str(error)
    return None


def measured_on_test(bundle: Bundle, name: str) -> float | None:
    """A number that the manifest states for the test split, if it does."""
    found = bundle.manifest.metrics.get("test")
    value = found.get(name) if isinstance(found, dict) else None
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None


def _test_fingerprint(bundle: Bundle | None) -> str | None:
    note = bundle.manifest.data if bundle else None
    return note.fingerprints.get("test") if note else None


def _worse(contest: Contest, champion: Bundle, name: str) -> str | None:
    expected, found = measured_on_test(champion, name), measured_on_test(contest.candidate, name)
    if expected is None or (found is not None and found >= expected - contest.limits.margin - _ROUNDING):
        return None
    stated = "not stated" if found is None else f"{found:.4f}"
    return (
        f"its test {name} is {stated}; version {contest.champion_version} in production has {expected:.4f}, "
        f"and {contest.limits.margin:.4f} less are allowed"
    )
