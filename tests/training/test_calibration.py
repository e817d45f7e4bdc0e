import numpy as np
import pytest

from training.calibration import (
    apply_temperature,
    fit_temperature,
    log_probabilities,
    negative_log_likelihood,
    review_threshold,
)


def overconfident(temperature: float) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities whose logits are `temperature` times too large."""
    chance = np.random.default_rng(0)
    logits = chance.normal(0, 1.5, size=(4000, 2))
    honest = apply_temperature(np.exp(logits), 1.0)
    targets = (chance.random(4000) < honest[:, 1]).astype(np.int64)
    return apply_temperature(honest, 1 / temperature), targets


def test_a_temperature_undoes_overconfidence() -> None:
    probabilities, targets = overconfident(2.5)
    temperature = fit_temperature(probabilities, targets)
    assert temperature == pytest.approx(2.5, rel=0.1)
    before, after = (log_probabilities(p) for p in (probabilities, apply_temperature(probabilities, temperature)))
    assert negative_log_likelihood(after, targets) < negative_log_likelihood(before, targets)


def test_a_temperature_never_changes_the_answer() -> None:
    probabilities, _ = overconfident(2.0)
    assert (apply_temperature(probabilities, 3.0).argmax(axis=1) == probabilities.argmax(axis=1)).all()


@pytest.mark.parametrize(("target_error", "threshold"), [(0.0, 0.95), (0.25, 0.7), (0.5, 0.55)])
def test_the_threshold_covers_as_much_as_the_error_allows(target_error: float, threshold: float) -> None:
    confidence = np.array([0.99, 0.95, 0.9, 0.7, 0.6, 0.55])
    probabilities = np.stack([confidence, 1 - confidence], axis=1)
    targets = np.array([0, 0, 1, 0, 1, 1])
    assert review_threshold(probabilities, targets, target_error) == pytest.approx(threshold)


def test_where_the_surest_answer_is_wrong_everything_is_reviewed() -> None:
    assert review_threshold(np.array([[0.9, 0.1]]), np.array([1]), 0.0) == 1.0
