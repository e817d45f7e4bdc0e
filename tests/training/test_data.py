from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from training.data import draw, fingerprint, read_data_set, require_trainable
from training.errors import EmptySplit, GroupInTwoSplits, NoDataSet, PictureInTwoSplits

LABELS = ("handwritten", "printed")
MakeDataSet = Callable[..., Path]
Row = dict[str, Any]


def test_a_data_set_is_read_by_split(make_data_set: MakeDataSet) -> None:
    splits = read_data_set(make_data_set(images=3), LABELS)
    assert {split: len(samples) for split, samples in splits.items()} == {"train": 6, "validation": 6, "test": 6}
    assert {sample.target for sample in splits["test"]} == {0, 1}
    assert splits["test"][0].name == "test/handwritten/0.png"
    assert splits["test"][0].read().startswith(b"\x89PNG")
    assert draw(splits["train"], 4, seed=1) == draw(splits["train"], 4, seed=1)


def test_a_fingerprint_is_that_of_the_images_and_labels_in_any_order(make_data_set: MakeDataSet) -> None:
    splits = read_data_set(make_data_set(images=3), LABELS)
    assert fingerprint(splits["test"]) == fingerprint(splits["test"][::-1])
    assert len({fingerprint(samples) for samples in [*splits.values(), splits["test"][1:]]}) == 4


def test_a_document_in_two_splits_is_refused(make_data_set: MakeDataSet) -> None:
    with pytest.raises(GroupInTwoSplits):
        read_data_set(make_data_set(change=lambda split, row: row | {"group": "the same"}), LABELS)


def test_a_label_that_is_not_trained_is_left_out(make_data_set: MakeDataSet) -> None:
    def typewritten_first(split: str, row: Row) -> Row:
        return row | {"label": "typewritten"} if row["file"].endswith("/0.png") else row

    splits = read_data_set(make_data_set(images=3, change=typewritten_first), LABELS)
    assert [len(samples) for samples in splits.values()] == [4, 4, 4]


def test_a_split_without_a_label_is_not_trained_on(make_data_set: MakeDataSet) -> None:
    def without_print(split: str, row: Row) -> Row | None:
        return None if (split, row["label"]) == ("test", "printed") else row

    splits = read_data_set(make_data_set(change=without_print), LABELS)
    assert [len(samples) for samples in splits.values()] == [8, 8, 4]
    with pytest.raises(EmptySplit, match="test has no printed"):
        require_trainable(splits, LABELS)


def test_a_picture_in_two_splits_is_not_trained_on(make_data_set: MakeDataSet) -> None:
    require_trainable(read_data_set(make_data_set(), LABELS), LABELS)

    def twin(split: str, row: Row) -> Row:
        return row | {"sha256": "twin"} if row["file"] in ("train/printed/1.png", "test/printed/2.png") else row

    with pytest.raises(PictureInTwoSplits, match=r"train/printed/1\.png in train and test/printed/2\.png in test"):
        require_trainable(read_data_set(make_data_set(change=twin), LABELS), LABELS)


def test_splits_may_be_empty(make_data_set: MakeDataSet) -> None:
    splits = read_data_set(make_data_set(change=lambda split, row: row if split == "test" else None), LABELS)
    assert [len(samples) for samples in splits.values()] == [0, 0, 8]
    assert fingerprint(splits["train"]) != fingerprint(splits["test"])


def test_a_folder_without_a_data_set_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NoDataSet, match="penpress data import"):
        read_data_set(tmp_path, LABELS)
