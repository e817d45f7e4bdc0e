"""What benchmarks and cross-validation find out about a model, as the files from which its card is rendered."""

from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from training.errors import ResultsInvalid

Found = TypeVar("Found", bound="Results")


class Results(BaseModel):
    """What one measurement found."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def write(self, path: Path) -> None:
        """As JSON, into a folder that need not be there yet."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(self.model_dump_json(indent=2) + "\n", encoding="utf-8")

    @classmethod
    def read(cls: type[Found], path: Path) -> Found:
        """What `write` wrote. Raises `ResultsInvalid`."""
        try:
            return cls.model_validate_json(path.read_bytes())
        except ValidationError as error:
            raise ResultsInvalid(f"{path} does not hold such results: {error}.") from error


class Noticed(Results):
    """How many images there were, and for each reason how many of them a person should look at."""

    images: int
    reasons: dict[str, int]

    @property
    def share(self) -> float:
        """The share that a person should look at."""
        return sum(self.reasons.values()) / self.images


class Answers(Noticed):
    """The answers to labelled images: the share that is right, the share of another class than the plain images got, and the
    share of errors among those that no person needs to look at.
    """

    accuracy: float
    changed: float
    error_when_sure: float


class Robustness(Results):
    """What `benchmarks.robustness` found for the bundle whose manifest has that SHA-256: the answers to each variation of the
    same lines, drawn by `seed`.
    """

    bundle_sha256: str
    seed: int
    variations: dict[str, Answers]


class OddInputs(Results):
    """What `benchmarks.odd_inputs` found for the bundle whose manifest has that SHA-256, by kind."""

    bundle_sha256: str
    kinds: dict[str, Noticed]


class Counted(Results):
    """Of how many images how many were answered rightly."""

    images: int
    right: int


class UnseenSources(Results):
    """What `penpress cross-validate` found: the answers on each source by a network that did not see it, trained with
    `parameters`.
    """

    parameters: dict[str, str]
    folds: int
    sources: dict[str, Counted]

    @property
    def images(self) -> int:
        """Of all sources."""
        return sum(counted.images for counted in self.sources.values())

    @property
    def accuracy(self) -> float:
        """The share of right answers among them."""
        return sum(counted.right for counted in self.sources.values()) / self.images
