"""Which split each row goes to, so that no document and no picture is in two."""

import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from training.data import SPLITS, refuse_shared_groups
from training.errors import GroupInTwoSplits, PictureInTwoSplits

NOWHERE = ""
"""The split of a row that is left out."""

_EXAMPLES = 3
_HASH_VALUES = 2**64


@dataclass(frozen=True, slots=True)
class Candidate:
    """What decides on the split of a good row; `split` is that of its source, or empty."""

    file: str
    label: str
    group: str
    split: str
    pixels: str

    @property
    def is_lone(self) -> bool:
        """Whether its source names no document, so that the picture counts as one."""
        return self.group == lone_group(self.pixels)


@dataclass(frozen=True, slots=True)
class Choices:
    """How rows are split: as their source says, or all by their group, in `shares` of train, validation and test.

    With `drop_duplicates`, of a picture in two splits only the copy in the more precious one stays: test before validation
    before train.
    """

    by_group: bool = False
    shares: tuple[float, float, float] = (80.0, 10.0, 10.0)
    seed: int = 0
    drop_duplicates: bool = False


def plan_splits(rows: Sequence[Candidate], choices: Choices) -> list[str]:
    """The split of each row, or `NOWHERE`. Raises `PictureInTwoSplits` or `GroupInTwoSplits`."""
    splits = assign_splits(rows, choices)
    shared = _pictures_in_two_splits(rows, splits)
    if shared and not choices.drop_duplicates:
        raise PictureInTwoSplits(_describe(shared))
    for copies in shared:
        dearest = max(SPLITS.index(splits[number]) for number, _, _ in copies)
        for number, _, split in copies:
            splits[number] = split if SPLITS.index(split) == dearest else NOWHERE
    _refuse_shared_groups(rows, splits)
    return splits


def assign_splits(rows: Sequence[Candidate], choices: Choices) -> list[str]:
    """The split of each row: its source's, else that of its group there, else one drawn by the group's hash."""
    if choices.by_group:
        return [draw_split(row.group, choices) for row in rows]
    home = {row.group: row.split for row in rows if row.split}
    return [row.split or home.get(row.group) or draw_split(row.group, choices) for row in rows]


def draw_split(group: str, choices: Choices) -> str:
    """The same one for the same group, seed and shares, whatever else there is."""
    place = hash_fraction(f"{choices.seed}/split/{group}") * sum(choices.shares)
    for split, share in zip(SPLITS, choices.shares, strict=True):
        if place < share:
            return split
        place -= share
    return SPLITS[-1]


def is_in_subset(group: str, fraction: float, seed: int) -> bool:
    """Whether a group is among the `fraction` of all groups that is drawn."""
    return hash_fraction(f"{seed}/subset/{group}") < fraction


def hash_fraction(text: str) -> float:
    """A number of at least 0 and below 1 that the text decides."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") / _HASH_VALUES


def lone_group(pixels: str) -> str:
    """The group of a picture whose document is not known: copies of it, in whatever format, share it."""
    return f"picture {pixels}"


def duplicates(rows: Sequence[Candidate]) -> list[list[int]]:
    """The numbers of the rows that hold the same picture, for each picture that is there more than once."""
    found: Mapping[str, list[int]] = defaultdict(list)
    for number, row in enumerate(rows):
        found[row.pixels].append(number)
    return [numbers for numbers in found.values() if len(numbers) > 1]


def _pictures_in_two_splits(rows: Sequence[Candidate], splits: Sequence[str]) -> list[list[tuple[int, str, str]]]:
    """For each such picture its copies: number, file and split."""
    copies = [[(number, rows[number].file, splits[number]) for number in numbers] for numbers in duplicates(rows)]
    return [of_one for of_one in copies if len({split for _, _, split in of_one}) > 1]


def _describe(shared: Sequence[Sequence[tuple[int, str, str]]]) -> str:
    named = [" and ".join(f"{file} in {split}" for _, file, split in copies[:2]) for copies in shared[:_EXAMPLES]]
    more = "; …" if len(shared) > _EXAMPLES else ""
    return (
        f"The same picture is in two splits, which would reward remembering it ({len(shared)} pictures: "
        f"{'; '.join(named)}{more}). Call again with --drop-duplicates to leave the copies out of train."
    )


def _refuse_shared_groups(rows: Sequence[Candidate], splits: Sequence[str]) -> None:
    members: dict[str, list[Candidate]] = {split: [] for split in SPLITS}
    for row, split in zip(rows, splits, strict=True):
        if split != NOWHERE:
            members[split].append(row)
    try:
        refuse_shared_groups(members)
    except GroupInTwoSplits as error:
        raise GroupInTwoSplits(
            f"A document is in two splits, which would reward remembering it: {error} "
            "Call again with --splits group to split by document."
        ) from None
