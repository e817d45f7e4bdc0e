from collections.abc import Callable
from pathlib import Path

import pytest

from registry.starter import STARTER
from training import evaluate
from training.data import Sample, read_data_set
from training.evaluate import Evaluation, served_answers, targets_of


def test_every_sample_gets_its_answer_in_order(make_data_set: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    samples = read_data_set(make_data_set(images=2), ("handwritten", "printed"))["test"]
    done: list[int] = []
    ahead: list[int] = []
    read = Sample.read

    def counted(sample: Sample) -> bytes:
        ahead.append(samples.index(sample) + 1 - sum(done))
        return read(sample)

    monkeypatch.setattr(Sample, "read", counted)
    monkeypatch.setattr(evaluate, "_READ_AT_ONCE", 3)
    answers = served_answers(STARTER, samples, processes=2, advance=done.append)
    assert ahead == [1, 2, 3, 1]  # the fourth image is read when the first three are done
    probabilities = answers.probabilities
    assert probabilities.shape == (4, 2)
    assert len(answers.oddities) == 4
    assert [look.aspect_ratio for look in answers.looks] == [4.0] * 4
    assert abs(probabilities.sum(axis=1) - 1).max() < 1e-5
    assert sum(done) == 4
    assert targets_of(samples).tolist() == [sample.target for sample in samples]


def test_mistakes_come_the_surest_first(evaluation: Evaluation) -> None:
    assert evaluation.mistakes().tolist() == [12, 11, 5]
    assert (evaluation.predicted != evaluation.targets).sum() == 3


def test_a_temperature_rescales_the_confidence_alone(evaluation: Evaluation) -> None:
    cooler = evaluation.at_temperature(2.0)
    assert (cooler.predicted == evaluation.predicted).all()
    assert (cooler.confidence < evaluation.confidence).all()


def test_a_split_is_measured_by_source_and_century(evaluation: Evaluation) -> None:
    metrics = evaluation.measure(("handwritten", "printed"), threshold=0.9)
    assert metrics["accuracy"] == 21 / 24
    assert metrics["accuracy_by_source"] == {"example.org/a": {"images": 24, "accuracy": 21 / 24}}
    assert metrics["accuracy_by_century"] == {"18": {"images": 24, "accuracy": 21 / 24}}
