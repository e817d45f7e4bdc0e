"""A short form of `make fuzz` that is the same each time."""

from pathlib import Path
from random import Random

import pytest

from tests.fuzz.mutate import mutated
from tests.fuzz.reading import run
from tests.fuzz.seeds import SEEDS
from tests.fuzz.targets import TARGETS


@pytest.mark.parametrize("target", list(TARGETS))
def test_no_damaged_file_does_what_is_not_foreseen(target: str, tmp_path: Path) -> None:
    run(target, seed=1, cases=400, keep=tmp_path / "case")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("target", list(TARGETS))
def test_a_fault_is_found_and_its_file_is_kept(target: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def faulty(data: bytes) -> None:
        assert len(data) % 7, "the fault"

    monkeypatch.setitem(TARGETS, target, faulty)
    with pytest.raises(AssertionError, match="the fault"):
        run(target, seed=1, cases=400, keep=tmp_path / "case")
    assert len((tmp_path / "case").read_bytes()) % 7 == 0


@pytest.mark.parametrize("target", list(TARGETS))
def test_damage_is_the_same_for_the_same_seed_and_leaves_few_files_whole(target: str) -> None:
    seeds = SEEDS[target]()
    random, again = Random(1), Random(1)
    damaged = [mutated(random.choice(seeds), seeds, random) for _ in range(100)]
    assert damaged == [mutated(again.choice(seeds), seeds, again) for _ in range(100)]
    assert sum(data in seeds for data in damaged) < 10
