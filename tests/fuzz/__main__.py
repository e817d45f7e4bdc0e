"""Feed damaged files to what reads them: `python -m tests.fuzz --seconds 300`, or `make fuzz`.

Decoders are C, which nothing here instruments, so damage is made at random, not guided by what it reaches. A child process does
the reading: each input is kept in a file before it is read, so that one which crashes, hangs or exhausts its process is found
in `build/fuzz`.
"""

import argparse
import multiprocessing
import sys
import time
from pathlib import Path

from tests.fuzz.reading import read_in_child
from tests.fuzz.targets import TARGETS

FOUND = Path("build/fuzz")
_CASES = 500
_CASE_SECONDS = 20.0


def _finding(target: str, seed: int) -> str | None:
    """What became of one child, if it did not end well."""
    keep = FOUND / f"{target}-{seed}"
    child = multiprocessing.get_context("spawn").Process(target=read_in_child, args=(target, seed, _CASES, keep))
    child.start()
    last = (0.0, time.monotonic())
    while child.is_alive():
        child.join(0.2)
        changed = keep.stat().st_mtime if keep.exists() else 0.0
        last = last if changed == last[0] else (changed, time.monotonic())
        if changed and time.monotonic() - last[1] > _CASE_SECONDS:
            child.kill()
            child.join()
            return f"{keep}: took longer than {_CASE_SECONDS:.0f} s"
    return None if child.exitcode == 0 else f"{keep}: ended with {child.exitcode}"


def main() -> None:
    """Alternate between the targets until the time is over; exit with 1 if anything was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    arguments = parser.parse_args()
    FOUND.mkdir(parents=True, exist_ok=True)
    deadline, seed, findings = time.monotonic() + arguments.seconds, arguments.seed, []
    while time.monotonic() < deadline:
        findings += [found for target in TARGETS if (found := _finding(target, seed))]
        seed += 1
    cases = (seed - arguments.seed) * len(TARGETS) * _CASES
    print(f"{cases} files from seed {arguments.seed}: {len(findings)} findings", *findings, sep="\n  ")
    sys.exit(bool(findings))


if __name__ == "__main__":
    main()
