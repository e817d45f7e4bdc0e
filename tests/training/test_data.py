from collections.abc import Callable
from pathlib import Path

import pytest

from training.data import (
    DocumentInTwoSplits,
    EmptySplit,
    MetadataInvalid,
    MetadataMissing,
    draw,
    read_data_set,
)

LABELS = ("handwritten", "printed")


def row(**fields: str) -> dict[str, str]:
    return {"file": "train/printed/0.png", "split": "train", "label": "printed", "source_repo": "r", "document": "d"} | fields


def test_a_data_set_is_read_by_split(make_data_set: Callable[..., Path]) -> None:
    splits = read_data_set(make_data_set(images=3), LABELS)
    assert {split: len(samples) for split, samples in splits.items()} == {"train": 6, "validation": 6, "test": 6}
    assert {sample.target for sample in splits["test"]} == {0, 1}
    assert draw(splits["train"], 4, seed=1) == draw(splits["train"], 4, seed=1)


def test_a_document_in_two_splits_is_refused(make_data_set: Callable[..., Path]) -> None:
    rows = [row(), row(file="test/printed/0.png", split="test")]
    with pytest.raises(DocumentInTwoSplits):
        read_data_set(make_data_set(rows=rows), LABELS)


@pytest.mark.parametrize("fields", [{"label": "typed"}, {"split": "dev"}, {"file": "test/printed/0.png"}, {"file": "0.png"}])
def test_a_row_that_contradicts_its_file_is_refused(make_data_set: Callable[..., Path], fields: dict[str, str]) -> None:
    with pytest.raises(MetadataInvalid):
        read_data_set(make_data_set(rows=[row(**fields)]), LABELS)


def test_a_split_without_a_label_is_refused(make_data_set: Callable[..., Path]) -> None:
    with pytest.raises(EmptySplit):
        read_data_set(make_data_set(rows=[row()]), LABELS)


def test_a_folder_without_metadata_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MetadataMissing):
        read_data_set(tmp_path, LABELS)
