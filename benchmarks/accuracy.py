"""`python -m benchmarks.accuracy`: classify labelled lines through the service, and count what it got right.

The images lie in one folder for each class, as in `lines/test`; the service is our own, and `penpress classify` its client.
"""

import argparse
import csv
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

from benchmarks.service import running_service

_CLASSES = ("handwritten", "printed")


def main() -> None:
    """Classify, count and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", default=Path("../shared/data/lines/test"))
    folder = parser.parse_args().folder.resolve()
    expected = sum(1 for name in _CLASSES for _ in (folder / name).iterdir())
    with tempfile.TemporaryDirectory(prefix="penpress-bench-") as scratch, running_service() as service:
        out = Path(scratch, "results.csv")
        command = [sys.executable, "-m", "penpress", "classify", str(folder), "--url", service.url, "--out", str(out)]
        subprocess.run(command, check=True)
        confusion = _count(out)
    _report(confusion, expected)


def _count(results: Path) -> Counter[tuple[str, str]]:
    """(true class, predicted class) of every row; the true one is the folder's name."""
    with results.open(newline="") as file:
        return Counter((Path(row["FILE"]).parent.name, row["CLASS"]) for row in csv.DictReader(file))


def _report(confusion: Counter[tuple[str, str]], expected: int) -> None:
    right = sum(confusion[name, name] for name in _CLASSES)
    print(f"{confusion.total()} of {expected} lines have a row; accuracy {right / expected:.4f}")
    print(f"{'':14}" + "".join(f"{'as ' + name:>16}" for name in _CLASSES))
    for true in _CLASSES:
        print(f"{true:14}" + "".join(f"{confusion[true, predicted]:16}" for predicted in _CLASSES))


if __name__ == "__main__":
    main()
