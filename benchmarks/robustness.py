"""`python -m benchmarks.robustness`: how a bundle does on lines that are askew, blurred, coarse, bitonal, inverted or short.

Every line of a fixed random draw of the test lines is answered as it is and in each variation, through `inference` as serving
does. The figures are the same for the same bundle, lines and processor.
"""

import argparse
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from benchmarks.answering import answer
from benchmarks.images import decoded, encoded, read_rows
from benchmarks.variations import PLAIN, VARIATIONS
from inference.bundle import load_bundle
from inference.classifier import Classifier
from inference.review import ReviewReason
from registry.cache import manifest_sha256
from registry.starter import STARTER
from training.progress import progress_bars
from training.results import Answers, Robustness

Said = tuple[str, ReviewReason | None]
"""The class that a line got, and why a person should look at it."""

_SEED = 0
_classifier: Classifier


def main() -> None:
    """Classify everything and print a row for each variation."""
    options = _parse_options()
    bundle = load_bundle(options.bundle)
    rows = [row for row in read_rows(options.data / "lines") if row["split"] == "test"]
    drawn = random.Random(_SEED).sample(rows, min(options.lines, len(rows)))  # noqa: S311  # an order, not a secret
    files = [options.data / "lines" / row["file"] for row in drawn]
    said = answers_to(options.bundle, files, processes=options.processes)
    found = summarised(said, [row["label"] for row in drawn])
    for line in table(found):
        print(line)
    if options.json:
        Robustness(bundle_sha256=manifest_sha256(bundle), seed=_SEED, variations=found).write(options.json)


def _parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "bundle", type=Path, nargs="?", default=STARTER, help="folder of the bundle; default: the one that ships"
    )
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="folder with lines")
    parser.add_argument("--lines", type=int, default=400, help="how many test lines are drawn")
    parser.add_argument("--processes", type=int, default=2, help="processes that classify")
    parser.add_argument("--json", type=Path, help="file for the figures, from which the model card takes them")
    return parser.parse_args()


def answers_to(bundle: Path, files: Sequence[Path], *, processes: int) -> Mapping[str, Sequence[Said]]:
    """What the bundle says of each variation of the n images, in their order."""
    pool = ProcessPoolExecutor(processes, mp_context=get_context("spawn"), initializer=_load, initargs=(bundle,))
    said: dict[str, list[Said]] = {name: [] for name in VARIATIONS}
    with pool, progress_bars() as stage:
        advance = stage(f"{len(VARIATIONS)} variations of {len(files)} lines", len(files))
        for of_one in pool.map(_answer_variations, files):
            for name, found in of_one.items():
                said[name].append(found)
            advance(1)
    return said


def summarised(said: Mapping[str, Sequence[Said]], labels: Sequence[str]) -> dict[str, Answers]:
    """The figures of each variation, given the n true `labels`."""
    plain = [predicted for predicted, _ in said[PLAIN]]
    return {name: _summary(found, plain, labels) for name, found in said.items()}


def _summary(said: Sequence[Said], plain: Sequence[str], labels: Sequence[str]) -> Answers:
    right = [predicted == label for (predicted, _), label in zip(said, labels, strict=True)]
    changed = sum(predicted != before for (predicted, _), before in zip(said, plain, strict=True))
    unseen = [correct for (_, reason), correct in zip(said, right, strict=True) if reason is None]
    reasons = Counter(reason.value for _, reason in said if reason is not None)
    return Answers(
        images=len(said),
        accuracy=sum(right) / len(said),
        changed=changed / len(said),
        reasons=dict(reasons.most_common()),
        error_when_sure=unseen.count(False) / len(unseen) if unseen else 0.0,
    )


def table(found: Mapping[str, Answers]) -> list[str]:
    """The figures as lines for a terminal."""
    heading = f"{'':32}{'accuracy':>9}{'changed':>9}{'review':>9}{'error*':>9}"
    return [heading, *(_row(name, answers) for name, answers in found.items()), "* among those that no person needs to look at"]


def _row(name: str, answers: Answers) -> str:
    reasons = ", ".join(f"{reason} {number}" for reason, number in answers.reasons.items())
    shares = f"{answers.changed:9.2%}{answers.share:9.2%}{answers.error_when_sure:9.2%}"
    return f"{name:32}{answers.accuracy:9.4f}{shares}  {reasons}".rstrip()


def _load(bundle: Path) -> None:
    global _classifier  # one model for the life of the process
    _classifier = Classifier(load_bundle(bundle), device="cpu")


def _answer_variations(file: Path) -> dict[str, Said]:
    image = decoded(file.read_bytes())
    said = {name: answer(_classifier, encoded(vary(image))) for name, vary in VARIATIONS.items()}
    return {name: (verdict.predicted_class, reason) for name, (verdict, reason) in said.items()}


if __name__ == "__main__":
    main()
