"""`python -m tests.chaos`: strike the product some hundred times while it works, and count what was lost, doubled or wrong.

After that a few faults more, with the leases that the product has by default and freezes of 90 s. With `--controls` instead:
take one safeguard out at a time, and see the same harness fail.
"""

import argparse
import json
import random
import signal
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from tests.chaos.kinds import KINDS
from tests.chaos.pace import DEFAULT, LONG, SHORT
from tests.chaos.run import Options, Outcome, run
from tests.chaos.sabotage import SABOTAGE

_PACES = {pace.name: pace for pace in (LONG, SHORT, DEFAULT)}
_BY_DEFAULT_LEASES = (
    *("worker_host_gone", "after_claim", "before_plan_commit"),
    *("frozen_before_commit", "worker_frozen", "api_frozen", "redis_frozen", "postgres_frozen"),
)
_CONTROL_KINDS = ("redis_flushed", "after_claim", "frozen_before_commit")


def main() -> None:
    """The command line. Ends with status 1 if the product did not hold, or if a control did."""
    given = _parser().parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))  # and with it all that it started
    sys.stdout.write(f"seed {given.seed}\n")
    options = Options(
        items=given.items,
        faults=given.faults,
        seed=given.seed,
        minutes=given.minutes,
        pace=_PACES[given.pace],
        kinds=given.kinds,
        sabotage=given.sabotage,
        drain_seconds=given.drain,
        keep_logs=given.keep_logs,
    )
    if given.controls is not None:
        held = [
            name for name in given.controls or SABOTAGE if _run_all([_control(options, name)], given.results / f"{name}.json")
        ]
        sys.exit(f"The harness did not notice: {', '.join(held)}." if held else 0)
    runs = [options]
    if given.default_faults:
        runs.append(
            replace(options, items=1000, faults=given.default_faults, minutes=20, pace=DEFAULT, kinds=_BY_DEFAULT_LEASES)
        )
    is_good = _run_all(runs, given.results / f"{given.sabotage or 'as-it-is'}.json")
    sys.exit(0 if is_good else 1)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--items", type=int, default=50_000, help="items to submit, at least")
    parser.add_argument("--faults", type=int, default=300, help="faults to strike with")
    parser.add_argument("--minutes", type=float, default=42, help="strike no longer than this")
    parser.add_argument("--default-faults", type=int, default=8, help="faults more, with default leases and freezes of 90 s")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6), help="repeats a run")
    parser.add_argument("--pace", choices=_PACES, default=LONG.name, help="leases and freezes; default: %(default)s")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS), metavar="KIND", help="only these kinds")
    parser.add_argument("--drain", type=float, default=180, help="seconds that jobs have to end after the last fault")
    parser.add_argument("--sabotage", choices=SABOTAGE, help="take a safeguard out: the run must fail")
    parser.add_argument(
        "--controls", nargs="*", choices=SABOTAGE, help="a short run with each safeguard taken out; each must fail"
    )
    parser.add_argument("--results", type=Path, default=Path("build/chaos"), help="folder for what is found")
    parser.add_argument("--keep-logs", type=Path, help="copy the programs' logs and the client's there")
    return parser


def _control(options: Options, sabotage: str) -> Options:
    """Large jobs only: what a safeguard keeps out may harm just the jobs that still run."""
    short = replace(options, items=4000, faults=6, minutes=1, pace=SHORT, kinds=_CONTROL_KINDS, drain_seconds=30)
    return replace(short, smallest_job=400, sabotage=sabotage)


def _run_all(runs: list[Options], path: Path) -> bool:
    """Whether every run held; what was found is in `path`, and on stdout."""
    found = [as_json(run(options)) for options in runs]
    is_good = all(each["is_good"] for each in found)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"seed": runs[0].seed, "is_good": is_good, "runs": found}, indent=1) + "\n")
    for each in found:
        sys.stdout.write(json.dumps({key: value for key, value in each.items() if key != "faults"}, indent=2) + "\n")
    return is_good


def as_json(outcome: Outcome) -> dict[str, Any]:
    """A run's part of the file from which the documents are made."""
    options = outcome.options
    return {
        "sabotage": options.sabotage,
        "pace": asdict(options.pace) | {"takeover": options.pace.takeover},
        "seconds": round(outcome.seconds),
        "verdict": outcome.verdict.as_json(),
        "answers": outcome.answers,
        "late": [asdict(fault) for fault in outcome.late],
        "is_good": outcome.verdict.is_good and not outcome.late,
        "faults": [asdict(fault) for fault in outcome.faults],
    }


if __name__ == "__main__":
    main()
