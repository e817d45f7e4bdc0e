"""What a run that struck and judged says of itself; runs themselves are in test_chaos.py."""

import pytest

from tests.chaos.pace import SHORT
from tests.chaos.run import Fault, Options, Outcome
from tests.chaos.verdict import Verdict

OPTIONS = Options(items=10, faults=2, seed=1, minutes=1, pace=SHORT)
IN_TIME, LATE, NEVER = (Fault("api_killed", 0.0, seconds, 30.0) for seconds in (29.0, 31.0, None))


@pytest.mark.parametrize(
    ("verdict", "faults", "is_good"),
    [
        (Verdict(jobs=1, items=10), [IN_TIME, IN_TIME], True),
        (Verdict(jobs=1, items=10, lost=1), [IN_TIME, IN_TIME], False),
        (Verdict(jobs=1, items=9), [IN_TIME, IN_TIME], False),
        (Verdict(jobs=1, items=10), [IN_TIME], False),
        (Verdict(jobs=1, items=10), [IN_TIME, LATE], False),
        (Verdict(jobs=1, items=10), [IN_TIME, NEVER], False),
    ],
)
def test_a_run_is_good_when_nothing_is_wrong_or_late_and_all_was_done(
    verdict: Verdict, faults: list[Fault], is_good: bool
) -> None:
    assert Outcome(OPTIONS, verdict, faults).is_good == is_good
