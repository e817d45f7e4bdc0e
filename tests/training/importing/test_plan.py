import pytest

from training.errors import PictureInTwoSplits
from training.importing.plan import NOWHERE, Candidate, Choices, assign_splits, draw_split, is_in_subset, plan_splits

GROUPS = [f"document {number}" for number in range(2000)]


def row(number: int, *, group: str = "", split: str = "", pixels: str = "") -> Candidate:
    return Candidate(f"{number}.png", "printed", group or f"document {number}", split, pixels or f"picture {number}")


def test_documents_are_drawn_by_share_and_always_alike() -> None:
    splits = [draw_split(group, Choices()) for group in GROUPS]
    assert [round(splits.count(split) / len(splits), 1) for split in ("train", "validation", "test")] == [0.8, 0.1, 0.1]
    assert splits == [draw_split(group, Choices()) for group in GROUPS]
    assert splits != [draw_split(group, Choices(seed=1)) for group in GROUPS]
    assert {draw_split(group, Choices(shares=(1, 0, 0))) for group in GROUPS} == {"train"}


def test_a_row_without_a_split_follows_its_document() -> None:
    rows = [row(0, group="a"), row(1, group="a", split="test"), row(2, group="b")]
    assert assign_splits(rows, Choices(shares=(1, 0, 0))) == ["test", "test", "train"]


def test_by_group_a_source_has_no_say() -> None:
    rows = [row(number, group="a", split=split) for number, split in enumerate(("train", "test"))]
    assert plan_splits(rows, Choices(by_group=True, shares=(1, 0, 0))) == ["train", "train"]


def test_the_copy_in_the_dearest_split_stays() -> None:
    rows = [row(number, split=split, pixels="p") for number, split in enumerate(("train", "validation", "test", "test"))]
    assert plan_splits(rows, Choices(drop_duplicates=True)) == [NOWHERE, NOWHERE, "test", "test"]
    assert plan_splits(rows[:2], Choices(drop_duplicates=True)) == [NOWHERE, "validation"]


def test_the_refusal_names_a_few_of_many() -> None:
    rows = [row(number, split=split, pixels=f"p{number // 2}") for number, split in enumerate(["train", "test"] * 5)]
    with pytest.raises(PictureInTwoSplits, match=r"\(5 pictures: 0\.png in train and 1\.png in test; .*; …\)"):
        plan_splits(rows, Choices())


def test_a_subset_has_about_the_fraction_of_the_documents() -> None:
    assert 450 < sum(is_in_subset(group, 0.25, 0) for group in GROUPS) < 550
    assert all(is_in_subset(group, 1.0, 0) for group in GROUPS)
