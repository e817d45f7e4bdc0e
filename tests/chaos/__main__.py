"""`python -m tests.chaos`: strike the product some hundred times while it works, and count what was lost, doubled or wrong."""

import argparse
import json
import random
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tests.chaos.kinds import KINDS
from tests.chaos.pace import DEFAULT, LONG, SHORT
from tests.chaos.run import Options, Outcome, run
from tests.chaos.sabotage import SABOTAGE

_PACES = {pace.name: pace for pace in (DEFAULT, LONG, SHORT)}


def main() -> None:
    """The command line. Ends with status 1 if the product did not hold."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--items", type=int, default=50_000, help="items to submit, at least")
    parser.add_argument("--faults", type=int, default=300, help="faults to strike with")
    parser.add_argument("--minutes", type=float, default=45, help="strike no longer than this")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6), help="repeats a run")
    parser.add_argument("--pace", choices=_PACES, default=LONG.name, help="leases and freezes; default: %(default)s")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS), metavar="KIND", help="only these kinds")
    parser.add_argument("--sabotage", choices=SABOTAGE, help="take a safeguard out: the run must fail")
    parser.add_argument("--json", type=Path, help="write what was found here")
    parser.add_argument("--keep-logs", type=Path, help="copy the programs' logs and the client's there")
    given = parser.parse_args()
    options = Options(
        items=given.items,
        faults=given.faults,
        seed=given.seed,
        minutes=given.minutes,
        pace=_PACES[given.pace],
        kinds=given.kinds,
        sabotage=given.sabotage,
        keep_logs=given.keep_logs,
    )
    sys.stdout.write(f"seed {options.seed}\n")
    found = as_json(run(options))
    if given.json:
        given.json.write_text(json.dumps(found, indent=2) + "\n")
    sys.stdout.write(json.dumps({key: value for key, value in found.items() if key != "faults"}, indent=2) + "\n")
    sys.exit(0 if found["is_good"] else 1)


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
        "is_good": outcome.verdict.is_good and not outcome.late,
        "faults": [asdict(fault) for fault in outcome.faults],
    }


if __name__ == "__main__":
    main()
