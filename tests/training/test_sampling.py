from collections import Counter
from dataclasses import replace
from pathlib import Path

from training.config import TrainingConfig
from training.data import Sample
from training.sampling import balancing_weights, epoch_sampler, subset

CONFIG = TrainingConfig(data=Path("none"))


def samples(**sizes: int) -> list[Sample]:
    """As many samples of each class and source as the names say: `printed_a=3`."""
    return [
        Sample(
            None, row, int(name.startswith("printed")), f"{name}-{row}", f"{name}/{row // 4}", name[-1], "18", f"{name}{row}"
        )
        for name, size in sizes.items()
        for row in range(size)
    ]


def test_a_subset_holds_whole_documents() -> None:
    everything = samples(printed_a=40, written_b=40)
    kept = subset(everything, 0.5, seed=1)
    assert len(kept) == 40
    assert all(size == 4 for size in Counter(sample.group for sample in kept).values())
    assert kept == subset(everything, 0.5, seed=1) != subset(everything, 0.5, seed=2)
    assert subset(everything, 1.0, seed=1) == everything


def test_classes_weigh_alike_and_small_sources_more() -> None:
    weights = balancing_weights(samples(printed_a=16, printed_b=4, written_c=2)).tolist()
    assert sum(weights[:20]) == sum(weights[20:]) or abs(sum(weights[:20]) - sum(weights[20:])) < 1e-9
    assert weights[16] / weights[0] == 2.0


def test_an_epoch_is_the_same_for_the_same_seed_and_another_for_the_next() -> None:
    everything = samples(printed_a=20, written_b=20)
    for config in (CONFIG, replace(CONFIG, balanced=False)):
        first, again, second = (list(epoch_sampler(everything, config, epoch)) for epoch in (1, 1, 2))
        assert first == again != second
        assert len(first) == 40
    assert len(list(epoch_sampler(everything, replace(CONFIG, epoch_images=7), 1))) == 7
    assert len(set(epoch_sampler(everything, replace(CONFIG, balanced=False), 1))) == 40
