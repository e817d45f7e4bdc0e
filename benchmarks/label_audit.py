"""`python -m benchmarks.label_audit`: whether `penpress data audit` finds labels that were made wrong on purpose.

Training lines of a data set are audited as they are, and with some labels changed. The features are kept in `--out`.
"""

import argparse
import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from training.audit import Audit, FloatArray, Located, audit_labels
from training.config import TrainingConfig
from training.data import draw, read_data_set
from training.features import pooled_features
from training.model import ServingModel, load_imagenet_network

_FOLDS = 5


def main() -> None:
    """Audit twice and print what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, nargs="?", default=Path("build/data/lines"), help="data set that was imported")
    parser.add_argument("--weights", type=Path, help="safetensors file with ImageNet weights; default: torchvision's download")
    parser.add_argument("--out", type=Path, default=Path("build/audit"), help="folder for the features")
    parser.add_argument("--lines", type=int, default=600, help="training lines to audit")
    parser.add_argument("--wrong", type=int, default=20, help="labels to make wrong")
    parser.add_argument("--seed", type=int, default=0, help="decides which lines and which labels")
    options = parser.parse_args()
    config = TrainingConfig(data=options.data, weights=options.weights)
    lines = [Located("train", s) for s in draw(read_data_set(config.data, config.labels)["train"], options.lines, options.seed)]
    features = _features(lines, config, options.out)
    wrong = set(random.Random(options.seed).sample(range(len(lines)), options.wrong))  # noqa: S311  # repeatable, and no secret
    mislabelled = [_mislabelled(line) if number in wrong else line for number, line in enumerate(lines)]
    planted = {lines[number].sample.sha256 for number in wrong}
    print(f"{len(lines)} lines of {len({line.sample.group for line in lines})} documents")
    for name, audited in (("as they are", lines), (f"{len(wrong)} labels made wrong", mislabelled)):
        print(_line(name, audit_labels(audited, features, config.labels, folds=_FOLDS, seed=options.seed), planted))


def _features(lines: Sequence[Located], config: TrainingConfig, out: Path) -> FloatArray:
    model = ServingModel(load_imagenet_network(config.weights), len(config.labels))
    return pooled_features(model, [line.sample for line in lines], config, cache=out, advance=lambda done: None)


def _mislabelled(line: Located) -> Located:
    return replace(line, sample=replace(line.sample, target=1 - line.sample.target))


def _line(name: str, found: Audit, planted: set[str]) -> str:
    among = sum(suspect.image.sample.sha256 in planted for suspect in found.suspects)
    return f"{name}: agrees with {found.agreement:.1%}, suspects {len(found.suspects)}, {among} of those made wrong"


if __name__ == "__main__":
    main()
