"""`python -m benchmarks.odd_inputs`: which share of what a bundle was not made for is sent to a person, and of good lines too.

Pages, blanks, pictures and the like lie in folders with a `metadata.csv` that names each file's kind; so do the test lines.
"""

import argparse
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

from benchmarks.answering import answer
from benchmarks.images import read_rows
from inference.bundle import load_bundle
from inference.classifier import Classifier
from registry.cache import manifest_sha256
from registry.starter import STARTER
from training.results import Noticed, OddInputs

_LINES = "good test lines"


def main() -> None:
    """Classify everything and print a line for each kind."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "bundle", type=Path, nargs="?", default=STARTER, help="folder of the bundle; default: the one that ships"
    )
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="folder with odd, pages and lines")
    parser.add_argument("--json", type=Path, help="file for the counts, from which the model card takes them")
    options = parser.parse_args()
    classifier = Classifier(load_bundle(options.bundle), device="cpu")
    counted: dict[str, Counter[str]] = defaultdict(Counter)
    for kind, path in _images(options.data):
        counted[kind][answer(classifier, path.read_bytes())[1] or ""] += 1
    kinds = {kind: _noticed(reasons) for kind, reasons in counted.items()}
    for kind, noticed in kinds.items():
        print(_line(kind, noticed))
    if options.json:
        OddInputs(bundle_sha256=manifest_sha256(classifier.bundle), kinds=kinds).write(options.json)


def _images(data: Path) -> Iterator[tuple[str, Path]]:
    """Kind and file, the odd kinds first."""
    for row in sorted(read_rows(data / "odd"), key=lambda row: row["kind"]):
        yield row["kind"], data / "odd" / row["file"]
    for row in sorted(read_rows(data / "pages"), key=lambda row: row["label"]):
        yield f"{row['label']}_pages", data / "pages" / row["file"]
    for row in read_rows(data / "lines"):
        if row["split"] == "test":
            yield _LINES, data / "lines" / row["file"]


def _noticed(counted: Counter[str]) -> Noticed:
    reasons = {reason: number for reason, number in counted.most_common() if reason}
    return Noticed(images=counted.total(), reasons=reasons)


def _line(kind: str, noticed: Noticed) -> str:
    causes = ", ".join(f"{reason} {number}" for reason, number in noticed.reasons.items())
    return f"{kind:24}: {noticed.share:7.2%} of {noticed.images:4} need review ({causes or 'no reason'})"


if __name__ == "__main__":
    main()
