"""How a recipe does on sources that it has never seen: each source, or each group of sources, is left out in turn.

Only train and validation take part; the test split stays closed. What is left out is judged as the images are, without
augmentation, by the network in torch.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from training.config import TrainingConfig
from training.data import DataSet, Sample, require_trainable
from training.errors import TooFewSources
from training.features import FloatArray, trained_features
from training.model import ServingModel
from training.progress import Advance, Stage
from training.run import train_network

_SPLITS = ("train", "validation")


@dataclass(frozen=True, slots=True)
class HeldOut:
    """The samples of the sources that a fold did not see, and its logits for them (n x classes)."""

    samples: Sequence[Sample]
    logits: FloatArray


def leave_sources_out(
    data_set: DataSet, config: TrainingConfig, folder: Path, *, folds: int | None, stage: Stage
) -> Iterator[HeldOut]:
    """Train once for each fold without its sources, and ask about them. `folds` None leaves out one source at a time.

    Each fold has a checkpoint of its own in `folder`, so that an interrupted call goes on. Raises `TooFewSources`,
    `EmptySplit` or `PictureInTwoSplits`.
    """
    require_trainable({split: data_set[split] for split in _SPLITS}, config.labels)
    for number, sources in enumerate(assign_folds(data_set, folds), start=1):
        kept = {split: [sample for sample in data_set[split] if sample.source not in sources] for split in _SPLITS}
        held = [sample for split in _SPLITS for sample in data_set[split] if sample.source in sources]
        cache = folder / "features"
        place = folder / f"fold-{number}"
        model, _ = train_network(kept, config, place, cache=cache, on_epoch=lambda epoch: None, stage=stage)
        yield HeldOut(held, _answer(model, held, config, cache, stage(f"left out in fold {number}", len(held))))


def assign_folds(data_set: DataSet, folds: int | None) -> list[set[str]]:
    """The sources of each fold, so that the folds are of similar size: the largest sources first, each to the smallest fold.

    Raises `TooFewSources` where what a fold leaves does not have every class.
    """
    sizes = Counter(sample.source for split in _SPLITS for sample in data_set[split])
    found: list[set[str]] = [set() for _ in range(min(folds or len(sizes), len(sizes)))]
    for source, _ in sizes.most_common():
        min(found, key=lambda fold: sum(sizes[member] for member in fold)).add(source)
    for fold in found:
        _require_every_class(data_set, fold)
    return found


def by_source(results: Sequence[HeldOut]) -> Mapping[str, tuple[int, int]]:
    """For each source how many lines were answered rightly, of how many."""
    images: Counter[str] = Counter()
    right: Counter[str] = Counter()
    for result in results:
        for sample, answer in zip(result.samples, result.logits.argmax(axis=1), strict=True):
            images[sample.source] += 1
            right[sample.source] += int(answer == sample.target)
    return {source: (right[source], images[source]) for source in sorted(images)}


def _require_every_class(data_set: DataSet, fold: set[str]) -> None:
    targets = {sample.target for split in _SPLITS for sample in data_set[split]}
    for split in _SPLITS:
        if {sample.target for sample in data_set[split] if sample.source not in fold} != targets:
            raise TooFewSources(f"Without {', '.join(sorted(fold))} the split {split} lacks a class; take more folds.")


def _answer(
    model: ServingModel, samples: Sequence[Sample], config: TrainingConfig, cache: Path, advance: Advance
) -> FloatArray:
    features = trained_features(model, samples, config, cache=cache, advance=advance)
    weight = model.head.weight.detach().cpu().numpy()[:, :, 0, 0]
    return np.asarray(features @ weight.T + model.bias.detach().cpu().numpy(), dtype=np.float32)
