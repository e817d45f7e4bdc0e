"""A data set on disk, as `penpress data import` makes them, and the samples of its splits.

It is a `datasets.DatasetDict` of the splits train, validation and test with the columns of `COLUMNS`. Images stay as they
were encoded, so that training decodes them as serving does. A group is what must not be torn apart by a split: the document.
"""

import hashlib
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from PIL import Image

from inference.bundle import InputSpec
from inference.images import ImageLimits, open_document
from inference.preprocess import Pixels, prepare
from training.errors import DataSetInvalid, EmptySplit, GroupInTwoSplits, NoDataSet, PictureInTwoSplits

if TYPE_CHECKING:
    from datasets import Dataset

SPLITS = ("train", "validation", "test")
COLUMNS = ("image", "file", "label", "group", "source", "century", "licence", "sha256")
"""`image` is the encoded file; the others are text, empty where unknown.

`file` is the image's name in its source, `label` may be a value that no model is trained for, such as typewritten, and
`sha256` is that of the image's bytes.
"""
_INDEX = "dataset_dict.json"


class Grouped(Protocol):
    """What belongs to a document."""

    @property
    def group(self) -> str:
        """Names the document."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One labelled image; `target` is the label's place in the model's labels, `name` the image's in its source."""

    table: Any = field(repr=False, compare=False)  # a datasets.Dataset, memory-mapped
    row: int
    target: int
    name: str
    group: str
    source: str
    century: str
    sha256: str

    def read(self) -> bytes:
        """The image as it was encoded."""
        return bytes(self.table[self.row]["image"]["bytes"])


DataSet = Mapping[str, Sequence[Sample]]
"""The samples of each split."""


def read_data_set(directory: Path, labels: Sequence[str]) -> DataSet:
    """The samples that have one of `labels`; images are read only when they are used. A split may have none.

    Raises a `DataSetError`.
    """
    splits = {split: _samples(table, labels) for split, table in open_tables(directory).items()}
    refuse_shared_groups(splits)
    return splits


def open_tables(directory: Path) -> Mapping[str, "Dataset"]:
    """The table of each split, memory-mapped, with every label there is. Raises `NoDataSet` or `DataSetInvalid`."""
    from datasets import Image as ImageColumn
    from datasets import load_from_disk

    if not (directory / _INDEX).is_file():
        raise NoDataSet(f"There is no data set in {directory}; make one with `penpress data import`.")
    found = load_from_disk(str(directory))
    if set(found) != set(SPLITS):
        raise DataSetInvalid(f"{directory} has the splits {sorted(found)}; needed are {list(SPLITS)}.")
    missing = {column for split in SPLITS for column in COLUMNS if column not in found[split].column_names}
    if missing:
        raise DataSetInvalid(f"{directory} lacks the columns {sorted(missing)}; import it anew.")
    return {split: found[split].cast_column("image", ImageColumn(decode=False)) for split in SPLITS}


def fingerprint(samples: Sequence[Sample]) -> str:
    """Names a split by what it holds, in whatever order: equal for two runs that were measured on the same images."""
    lines = sorted(f"{sample.sha256} {sample.target}" for sample in samples)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def prepared(data: bytes, spec: InputSpec) -> Pixels:
    """Decode and prepare one image as serving does."""
    return prepare(decoded(data, spec), spec)


def decoded(data: bytes, spec: InputSpec) -> Image.Image:
    """Decode the first page of one image as serving does. Raises an `inference.errors.ImageError`."""
    with open_document(data, ImageLimits()) as document:
        return document.page(1, at_least=(spec.width, spec.height))


def draw(samples: Sequence[Sample], number: int, seed: int) -> list[Sample]:
    """`number` of the samples, or all if there are fewer, drawn at random: the same ones for the same seed."""
    chance = random.Random(seed)  # noqa: S311  # repeatable, and no secret
    return chance.sample(list(samples), min(number, len(samples)))


def refuse_shared_groups(splits: Mapping[str, Sequence[Grouped]]) -> None:
    """Raises `GroupInTwoSplits` for a document that is in two splits."""
    home: dict[str, str] = {}
    for split, samples in splits.items():
        for sample in samples:
            if home.setdefault(sample.group, split) != split:
                raise GroupInTwoSplits(f"{sample.group} is in {home[sample.group]} and in {split}.")


def require_trainable(splits: DataSet, labels: Sequence[str]) -> None:
    """Raises `EmptySplit` for a split without images of one of `labels`, and `PictureInTwoSplits`, by the encoded file."""
    _refuse_missing_labels(splits, labels)
    home: dict[str, tuple[str, str]] = {}
    for split, samples in splits.items():
        for sample in samples:
            other, name = home.setdefault(sample.sha256, (split, sample.name))
            if other != split:
                raise PictureInTwoSplits(f"The same picture is in two splits: {name} in {other} and {sample.name} in {split}.")


def _samples(table: "Dataset", labels: Sequence[str]) -> list[Sample]:
    text = {name: table.data[name].to_pylist() for name in COLUMNS if name != "image"}
    return [
        Sample(
            table=table,
            row=row,
            target=labels.index(label),
            name=text["file"][row],
            group=text["group"][row],
            source=text["source"][row],
            century=text["century"][row],
            sha256=text["sha256"][row],
        )
        for row, label in enumerate(text["label"])
        if label in labels
    ]


def _refuse_missing_labels(splits: DataSet, labels: Sequence[str]) -> None:
    for split, samples in splits.items():
        present = {sample.target for sample in samples}
        for target, label in enumerate(labels):
            if target not in present:
                raise EmptySplit(f"The split {split} has no {label} images.")
