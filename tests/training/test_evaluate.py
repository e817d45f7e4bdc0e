from collections.abc import Callable
from pathlib import Path

from registry.starter import STARTER
from training.data import read_data_set
from training.evaluate import served_probabilities, targets_of


def test_every_sample_gets_its_answer_in_order(make_data_set: Callable[..., Path]) -> None:
    samples = read_data_set(make_data_set(images=2), ("handwritten", "printed"))["test"]
    done: list[int] = []
    probabilities = served_probabilities(STARTER, samples, processes=2, advance=done.append)
    assert probabilities.shape == (4, 2)
    assert abs(probabilities.sum(axis=1) - 1).max() < 1e-5
    assert sum(done) == 4
    assert targets_of(samples).tolist() == [sample.target for sample in samples]
