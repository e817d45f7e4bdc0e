"""Read damaged files, one after the other, each kept in a file before it is read."""

import os
import resource
import traceback
from pathlib import Path
from random import Random

from tests.fuzz.mutate import mutated
from tests.fuzz.seeds import SEEDS
from tests.fuzz.targets import TARGETS

_MEMORY_BYTES = 4 * 1024**3


def run(target: str, seed: int, cases: int, keep: Path) -> None:
    """Read `cases` damaged files; whatever is not foreseen leaves its input in `keep`, and is raised."""
    random, seeds = Random(seed), SEEDS[target]()  # it must repeat itself, not surprise anybody
    for _ in range(cases):
        data = mutated(random.choice(seeds), seeds, random)
        keep.write_bytes(data)
        TARGETS[target](data)
    keep.unlink()


def read_in_child(target: str, seed: int, cases: int, keep: Path) -> None:
    """As `run`, in a process that is this one's own, with limited memory; it ends with 1 for a finding."""
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
    try:
        run(target, seed, cases, keep)
    except BaseException:
        traceback.print_exc()
        os._exit(1)
