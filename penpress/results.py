"""The shape of answers, as the HTTP interface gives them and `--local` makes them, and what they add up to."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypedDict, cast


class Result(TypedDict):
    """One page's answer; pages count from 1. What failed has no class, but a `reason` (stable) and a `detail` (a sentence).
    What needs review has a `reason` too.
    """

    file: str
    page: int
    status: str
    predicted_class: str | None
    confidence: float | None
    probabilities: dict[str, float] | None
    needs_review: bool
    model_version: str | None
    reason: str | None
    detail: str | None


RESULT_FIELDS = tuple(Result.__annotations__)


def result_of(item: Mapping[str, Any]) -> Result:
    """The fields of a `Result` from an item of the HTTP interface, without the links and ids that only mean something there."""
    return cast(Result, {name: item.get(name) for name in RESULT_FIELDS})


@dataclass(slots=True)
class Tally:
    """How many pages came out how."""

    total: int = 0
    handwritten: int = 0
    printed: int = 0
    needs_review: int = 0
    failed: int = 0
    skipped: int = 0

    def add(self, result: Result) -> None:
        """Count one result."""
        self.total += 1
        self.handwritten += result["predicted_class"] == "handwritten"
        self.printed += result["predicted_class"] == "printed"
        self.needs_review += bool(result["needs_review"])
        self.failed += result["status"] == "failed"
        self.skipped += result["status"] == "skipped"

    def add_counts(self, counts: Mapping[str, int | None]) -> None:
        """Add the `counts` of a job."""
        for name in ("total", "handwritten", "printed", "needs_review", "failed", "skipped"):
            setattr(self, name, getattr(self, name) + (counts.get(name) or 0))

    @property
    def exit_code(self) -> int:
        """0 when everything was classified, 1 when some of it failed, 2 when nothing was classified."""
        if self.total - self.failed - self.skipped <= 0:
            return 2
        return 1 if self.failed else 0

    def summary(self, seconds: float) -> str:
        """One line; `seconds` is how long the classification took."""
        rate = f", {self.total / seconds:.1f} images/s" if seconds > 0 else ""
        return (
            f"{self.handwritten} handwritten, {self.printed} printed, {self.needs_review} to review, {self.failed} failed{rate}"
        )
