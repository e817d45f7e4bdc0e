"""`python -m benchmarks.odd_inputs`: which share of what a bundle was not made for is sent to a person, and of good lines too.

Pages, blanks, pictures and the like lie in folders with a `metadata.csv` that names each file's kind; so do the test lines.
"""

import argparse
import csv
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

from inference.bundle import load_bundle
from inference.classifier import Classifier, Verdict
from inference.images import ImageLimits
from inference.items import classify_pages, prepare_pages
from registry.starter import STARTER

_LINES = "good test lines"


def main() -> None:
    """Classify everything and print a line for each kind."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "bundle", type=Path, nargs="?", default=STARTER, help="folder of the bundle; default: the one that ships"
    )
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="folder with odd, pages and lines")
    options = parser.parse_args()
    classifier = Classifier(load_bundle(options.bundle), device="cpu")
    reasons: dict[str, Counter[str]] = defaultdict(Counter)
    for kind, path in _images(options.data):
        reasons[kind][_reason(classifier, path)] += 1
    for kind, counted in reasons.items():
        print(_line(kind, counted))


def _images(data: Path) -> Iterator[tuple[str, Path]]:
    """Kind and file, the odd kinds first."""
    for row in sorted(_rows(data / "odd"), key=lambda row: row["kind"]):
        yield row["kind"], data / "odd" / row["file"]
    for row in sorted(_rows(data / "pages"), key=lambda row: row["label"]):
        yield f"{row['label']}_pages", data / "pages" / row["file"]
    for row in _rows(data / "lines"):
        if row["split"] == "test":
            yield _LINES, data / "lines" / row["file"]


def _rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "metadata.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _reason(classifier: Classifier, path: Path) -> str:
    """Why a person should look, or nothing."""
    (answer,) = classify_pages(classifier, list(prepare_pages(path.read_bytes(), ImageLimits(), classifier.spec)))
    if not isinstance(answer.result, Verdict):
        raise answer.result
    return answer.review or ""


def _line(kind: str, counted: Counter[str]) -> str:
    total, unnoticed = counted.total(), counted[""]
    causes = ", ".join(f"{reason} {number}" for reason, number in counted.most_common() if reason)
    return f"{kind:24}: {1 - unnoticed / total:7.2%} of {total:4} need review ({causes or 'no reason'})"


if __name__ == "__main__":
    main()
