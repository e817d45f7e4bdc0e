"""The short form of `make chaos`: the same harness, a few faults of the kinds that differ most, in a minute."""

import random

import pytest

from tests.chaos.pace import SHORT
from tests.chaos.run import Options, run

ITEMS, FAULTS = 600, 10
KINDS = (
    *("child_killed", "worker_host_gone", "frozen_before_commit"),
    *("api_killed", "sweep_killed"),
    *("redis_flushed", "redis_black_hole"),
    *("postgres_killed", "backend_terminated", "postgres_cut"),
)

pytestmark = pytest.mark.flow


@pytest.mark.timeout(280)  # a minute, but on cores that are busy with something else
def test_nothing_is_lost_doubled_or_wrong_whatever_dies() -> None:
    seed = random.SystemRandom().randrange(10**6)
    outcome = run(Options(items=ITEMS, faults=FAULTS, seed=seed, minutes=1.5, pace=SHORT, kinds=KINDS, largest_job=120))
    assert outcome.verdict.is_good, (seed, outcome.verdict)
    assert [fault for fault in outcome.faults if fault.recovered is None] == [], seed
    assert outcome.verdict.items >= ITEMS
    assert len(outcome.faults) >= FAULTS // 2  # on a busy machine time may run out before the faults do
