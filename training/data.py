"""A data set in a folder: `split/label/file` images, described by `metadata.csv`.

DataSetError
  MetadataMissing  MetadataInvalid  DocumentInTwoSplits  EmptySplit
"""

import csv
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from inference.bundle import InputSpec
from inference.images import ImageLimits, open_document
from inference.preprocess import Pixels, prepare

METADATA_NAME = "metadata.csv"
SPLITS = ("train", "validation", "test")
_REQUIRED_COLUMNS = {"file", "split", "label", "source_repo", "document"}


class DataSetError(Exception):
    """The data set cannot be used."""


class MetadataMissing(DataSetError):
    """The folder has no metadata.csv."""


class MetadataInvalid(DataSetError):
    """metadata.csv does not describe the files of its folder."""


class DocumentInTwoSplits(DataSetError):
    """A document is in two splits, so that a score would reward remembering it."""


class EmptySplit(DataSetError):
    """A split lacks images of one of the labels."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One labelled image; `target` is the label's place in the model's labels."""

    path: Path
    target: int
    document: str
    source: str


DataSet = Mapping[str, Sequence[Sample]]
"""The samples of each split."""


def read_data_set(root: Path, labels: Sequence[str]) -> DataSet:
    """Read `root/metadata.csv`. Raises a `DataSetError`; the image files themselves are opened only when they are used."""
    path = root / METADATA_NAME
    if not path.is_file():
        raise MetadataMissing(f"There is no {METADATA_NAME} in {root}.")
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        missing = _REQUIRED_COLUMNS - set(reader.fieldnames or ())
        if missing:
            raise MetadataInvalid(f"{path} lacks the columns {sorted(missing)}.")
        splits: dict[str, list[Sample]] = {split: [] for split in SPLITS}
        for row in reader:
            split, sample = _read_row(root, row, labels)
            splits[split].append(sample)
    _refuse_shared_documents(splits)
    _refuse_missing_labels(splits, labels)
    return splits


def read_pixels(path: Path, spec: InputSpec) -> Pixels:
    """Decode and prepare one image as serving does."""
    return prepare(read_image(path, spec), spec)


def read_image(path: Path, spec: InputSpec) -> Image.Image:
    """Decode the first page of one image as serving does. Raises an `inference.errors.ImageError`."""
    with open_document(path.read_bytes(), ImageLimits()) as document:
        return document.page(1, at_least=(spec.width, spec.height))


def draw(samples: Sequence[Sample], number: int, seed: int) -> list[Sample]:
    """`number` of the samples, or all if there are fewer, drawn at random: the same ones for the same seed."""
    chance = random.Random(seed)  # noqa: S311  # repeatable, and no secret
    return chance.sample(list(samples), min(number, len(samples)))


def _read_row(root: Path, row: dict[str, str], labels: Sequence[str]) -> tuple[str, Sample]:
    file, split, label = row["file"], row["split"], row["label"]
    if split not in SPLITS or label not in labels:
        raise MetadataInvalid(f"{file}: split {split!r} or label {label!r} is unknown.")
    if Path(file).parts[:2] != (split, label):
        raise MetadataInvalid(f"{file} does not lie in {split}/{label}.")
    document = f"{row['source_repo']}/{row['document']}"
    return split, Sample(root / file, labels.index(label), document, row["source_repo"])


def _refuse_shared_documents(splits: DataSet) -> None:
    home: dict[str, str] = {}
    for split, samples in splits.items():
        for sample in samples:
            if home.setdefault(sample.document, split) != split:
                raise DocumentInTwoSplits(f"{sample.document} is in {home[sample.document]} and in {split}.")


def _refuse_missing_labels(splits: DataSet, labels: Sequence[str]) -> None:
    for split, samples in splits.items():
        present = {sample.target for sample in samples}
        for target, label in enumerate(labels):
            if target not in present:
                raise EmptySplit(f"The split {split} has no {label} images.")
