"""`python -m tests.chaos`: strike the product some hundred times while it works, and count what was lost, doubled or wrong.

Instead, with `--default-leases`: a few faults with the leases that the product has by default and freezes of 90 s; with
`--killers`: items that kill who decodes them; with `--controls`: take one safeguard out at a time, and see the harness fail.
"""

import argparse
import json
import random
import signal
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from tests.chaos.killers import run_killers
from tests.chaos.kinds import KINDS
from tests.chaos.pace import DEFAULT, LONG, SHORT
from tests.chaos.run import Options, Outcome, run
from tests.chaos.sabotage import SABOTAGE

_PACES = {pace.name: pace for pace in (LONG, SHORT, DEFAULT)}
_BY_DEFAULT_LEASES = (
    *("worker_host_gone", "after_claim", "before_plan_commit"),
    *("frozen_before_commit", "worker_frozen", "child_frozen", "api_frozen", "redis_frozen", "postgres_frozen"),
)
_EARLIER_ITEMS, _LAST_ITEMS = "0[1-3]??.png", "04[89]?.png"  # of 500
_CONTROL_KINDS = ("redis_flushed", "after_claim", "frozen_before_commit")


def main() -> None:
    """The command line. Ends with status 1 if a run did not hold, or was shorter than was asked for, or if a control held."""
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
    if given.killers:
        sys.exit(0 if _run_killers(given.seed, given.results / "killers.json") else 1)
    if given.controls is not None:
        held = [name for name in given.controls or SABOTAGE if _control_holds(options, name, given.results)]
        sys.exit(f"The harness did not notice: {', '.join(held)}." if held else 0)
    if given.default_leases:
        options = replace(
            options, items=500, faults=len(_BY_DEFAULT_LEASES), minutes=15, pace=DEFAULT, kinds=_BY_DEFAULT_LEASES
        )
    name = given.sabotage or ("default-leases" if given.default_leases else "as-it-is")
    sys.exit(0 if _run(options, given.results / f"{name}.json").is_good else 1)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--items", type=int, default=50_000, help="items to submit, at least")
    parser.add_argument("--faults", type=int, default=300, help="faults to strike with")
    parser.add_argument("--minutes", type=float, default=40, help="strike no longer than this")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6), help="repeats a run")
    parser.add_argument("--pace", choices=_PACES, default=LONG.name, help="leases and freezes; default: %(default)s")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS), metavar="KIND", help="only these kinds")
    parser.add_argument("--drain", type=float, default=180, help="seconds that jobs have to end after the last fault")
    parser.add_argument("--sabotage", choices=SABOTAGE, help="take a safeguard out: the run must fail")
    parser.add_argument(
        "--controls", nargs="*", choices=SABOTAGE, help="a short run with each safeguard taken out; each must fail"
    )
    parser.add_argument(
        "--default-leases", action="store_true", help="instead, a few faults with default leases and freezes of 90 s"
    )
    parser.add_argument("--killers", action="store_true", help="instead, 1,000 items of which ten kill whoever decodes them")
    parser.add_argument("--results", type=Path, default=Path("build/chaos"), help="folder for what is found")
    parser.add_argument("--keep-logs", type=Path, help="copy the programs' logs and the client's there")
    return parser


def _control(options: Options, sabotage: str) -> Options:
    """Large jobs only: what a safeguard keeps out may harm just the jobs that still run.

    Without the sweep a whole host goes: of other deaths the worker itself tells, and who was frozen wakes and goes on.
    Without tokens the last chunk takes its time besides, so that a job is open when the worker wakes that froze with another
    chunk of it; and nothing but that happens.
    """
    short = replace(options, items=4000, faults=6, minutes=1, pace=SHORT, kinds=_CONTROL_KINDS, drain_seconds=30)
    control = replace(short, smallest_job=400, with_wishes=False, sabotage=sabotage)
    if sabotage == "no-sweep":
        return replace(control, kinds=("worker_host_gone",))
    if sabotage != "no-token":
        return control
    frozen = replace(control, kinds=("frozen_before_commit",), frozen_items=_EARLIER_ITEMS)
    return replace(frozen, smallest_job=500, slow_items=_LAST_ITEMS, drain_seconds=60)


def _control_holds(options: Options, sabotage: str, results: Path) -> bool:
    """Whether nothing was found lost, doubled or wrong. That something was late proves nothing."""
    return _run(_control(options, sabotage), results / f"{sabotage}.json").verdict.is_good


def _run_killers(seed: int, path: Path) -> bool:
    found = run_killers(seed)
    _write(path, found)
    sys.stdout.write(json.dumps(found, indent=2) + "\n")
    return bool(found["is_good"])


def _run(options: Options, path: Path) -> Outcome:
    """What was found is in `path`, and on stdout."""
    outcome = run(options)
    found = as_json(outcome)
    _write(path, found)
    sys.stdout.write(json.dumps({key: value for key, value in found.items() if key != "faults"}, indent=2) + "\n")
    return outcome


def _write(path: Path, found: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(found, indent=1) + "\n")


def as_json(outcome: Outcome) -> dict[str, Any]:
    """The run's file, from which the documents are made."""
    options = outcome.options
    return {
        "seed": options.seed,
        "sabotage": options.sabotage,
        "pace": asdict(options.pace) | {"takeover": options.pace.takeover},
        "seconds": round(outcome.seconds),
        "verdict": outcome.verdict.as_json(),
        "answers": outcome.answers,
        "late": [asdict(fault) for fault in outcome.late],
        "wanted": {"items": options.items, "faults": options.faults},
        "is_good": outcome.is_good,
        "faults": [asdict(fault) for fault in outcome.faults],
    }


if __name__ == "__main__":
    main()
