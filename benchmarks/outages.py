"""`python -m benchmarks.outages`: what clients see while Redis or Postgres is out, how soon work goes on, and what got lost.

The product runs with its own settings on the stack of the chaos runs, behind proxies, with a tiny model: what is measured is
not inference. Before each outage the same clients submit at the same rate while all is well.
"""

import argparse
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from sqlalchemy import func, select

from benchmarks.latency import Latency
from benchmarks.outage_clients import Answer, Clients
from benchmarks.outage_kinds import POSTGRES, REDIS, Outage
from store.models import Job, Prediction
from store.states import JobState
from tests.chaos.pace import DEFAULT
from tests.chaos.stack import Stack, running_stack
from tests.pictures import png, zip_of

_POLL_SECONDS = 0.2
_LONGEST_RECOVERY_SECONDS = 180.0
_SETTLE_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Found:
    """What one outage did. Seconds count from the return of the service; None where it did not happen in three minutes.
    `longest_pause` is the longest time after it in which none of the jobs was done although some were left: the last one is
    done when all that had piled up is.
    """

    name: str
    normal: Latency
    during: Latency | None
    accepted: int
    first_done: float | None
    last_done: float | None
    longest_pause: float
    statuses: Counter[str]
    longest_seconds: float
    forbidden: int
    lost: int
    doubled: int

    def line(self) -> str:
        """For people."""
        during = "none accepted at once"
        if self.during:
            ratios = f"{self.during.p50 / self.normal.p50:.2f} / {self.during.p99 / self.normal.p99:.2f}"
            during = f"p50 {self.during.p50:.1f} ms, p99 {self.during.p99:.1f} ms; ratios {ratios}"
        statuses = ", ".join(f"{what} {count}" for what, count in sorted(self.statuses.items()))
        return (
            f"{self.name}\n"
            f"  POST /jobs normally p50 {self.normal.p50:.1f} ms, p99 {self.normal.p99:.1f} ms; during the outage {during}\n"
            f"  answers to what was asked during the outage: {statuses}; the longest took {self.longest_seconds:.1f} s; "
            f"forbidden {self.forbidden}\n"
            f"  of {self.accepted} jobs asked for during the outage the first was done {_seconds(self.first_done)}, "
            f"the last {_seconds(self.last_done)} after its end, with no pause of more than {self.longest_pause:.1f} s\n"
            f"  lost {self.lost}, doubled {self.doubled}"
        )


def _seconds(value: float | None) -> str:
    return "never" if value is None else f"{value:.1f} s"


def main() -> None:
    """Measure and print. Ends with status 1 where an answer was none of 200, 202 and 503, or something was lost or doubled."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--redis-seconds", type=float, default=60, help="how long Redis is out each time")
    parser.add_argument("--postgres-seconds", type=float, default=20, help="how long Postgres is out each time")
    parser.add_argument("--normal-seconds", type=float, default=60, help="how long is measured before each outage")
    parser.add_argument("--rate", type=float, default=8, help="jobs a second")
    parser.add_argument("--only", nargs="+", choices=[*REDIS, *POSTGRES], metavar="OUTAGE", help="only these")
    options = parser.parse_args()
    lasting = [(REDIS, options.redis_seconds), (POSTGRES, options.postgres_seconds)]
    is_good = True
    with tempfile.TemporaryDirectory(prefix="penpress-bench-") as home, running_stack(Path(home), DEFAULT) as stack:
        for outages, seconds in lasting:
            for name, outage in outages.items():
                if options.only is None or name in options.only:
                    found = _measure(stack, name, outage, seconds, options.normal_seconds, options.rate)
                    is_good = is_good and not (found.forbidden or found.lost or found.doubled)
                    sys.stdout.write(found.line() + "\n")
                    sys.stdout.flush()
    sys.exit(0 if is_good else 1)


def _measure(stack: Stack, name: str, outage: Outage, seconds: float, normal_seconds: float, rate: float) -> Found:
    clients = Clients(stack.addresses.url, zip_of({"a.png": png()}), jobs_per_second=rate)
    with clients.at_work():
        time.sleep(_SETTLE_SECONDS)
        normal_since = time.monotonic()
        time.sleep(normal_seconds)
        out_since = time.monotonic()
        with outage(stack):
            time.sleep(seconds)
        returned = time.monotonic()
    normal = [answer for answer in clients.answers if normal_since <= answer.at < out_since - 1]
    during = [answer for answer in clients.answers if out_since <= answer.at < returned]
    keys = {answer.key for answer in during}
    waiting = {job_id for job_id, answer in clients.accepted().items() if answer.key in keys}
    done_after = _seconds_until_done(stack, waiting, returned)
    lost, doubled = _audit(stack, clients)
    accepted = [answer for answer in during if answer.job_id]
    return Found(
        name=name,
        normal=Latency.of(_accepting(normal)),
        during=Latency.of(_accepting(during)) if len(accepted) > 1 else None,
        accepted=len(waiting),
        first_done=min(done_after, default=0.0) if done_after is not None else None,
        last_done=max(done_after, default=0.0) if done_after is not None else None,
        longest_pause=max((later - sooner for sooner, later in pairwise([0.0, *sorted(done_after or [])])), default=0.0),
        statuses=Counter(f"{answer.request} {answer.status or 'no answer'}" for answer in during),
        longest_seconds=max(answer.seconds for answer in during),
        forbidden=sum(not answer.is_allowed for answer in during),
        lost=lost,
        doubled=doubled,
    )


def _accepting(answers: Iterable[Answer]) -> list[float]:
    return [answer.seconds for answer in answers if answer.job_id]


def _seconds_until_done(stack: Stack, waiting: set[str], returned: float) -> list[float] | None:
    """From `returned`, of those that were not done then; None if it took too long to be waited for."""
    while time.monotonic() - returned < _LONGEST_RECOVERY_SECONDS:
        with stack.database.transaction() as session:
            age = func.extract("epoch", func.clock_timestamp() - Job.finished_at)
            ages = session.scalars(select(age).where(Job.id.in_(list(waiting)), Job.state == JobState.COMPLETED)).all()
        now = time.monotonic() - returned
        if len(ages) == len(waiting):
            return [now - float(age) for age in ages if now > float(age)]
        time.sleep(_POLL_SECONDS)
    return None


def _audit(stack: Stack, clients: Clients) -> tuple[int, int]:
    """(lost, doubled): every key must have one job, and every accepted job one result."""
    accepted = {job_id: answer.key for job_id, answer in clients.accepted().items()}
    _seconds_until_done(stack, set(accepted), time.monotonic())
    keys: Sequence[str] = list(accepted.values())
    with stack.database.transaction() as session:
        jobs = Counter(session.scalars(select(Job.name).where(Job.name.in_(keys))))
        results = Counter(session.scalars(select(Job.name).join(Prediction).where(Job.name.in_(keys))))
    lost = sum(results[key] == 0 for key in keys)
    doubled = sum(max(0, jobs[key] - 1, results[key] - 1) for key in keys)
    return lost, doubled


if __name__ == "__main__":
    main()
