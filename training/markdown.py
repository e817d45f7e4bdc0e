"""The parts of a text in Markdown."""

import textwrap
from collections.abc import Iterable, Sequence

_WIDTH = 140


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table with a heading; every row has a cell for each of `columns`."""
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (columns, ["---"] * len(columns), *rows))


def paragraph(*sentences: str) -> str:
    """The sentences in lines of a fixed width; those that are empty are left out."""
    return _wrapped(" ".join(filter(None, sentences)), indent="")


def bullets(points: Iterable[str]) -> str:
    """A list of points."""
    return "\n".join(_wrapped(f"- {point}", indent="  ") for point in points)


def percent(share: float) -> str:
    """A share of 1, with two places."""
    return f"{100 * share:.2f} %"


def _wrapped(text: str, *, indent: str) -> str:
    return textwrap.fill(text, _WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
