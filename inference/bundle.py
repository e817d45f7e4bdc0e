"""A model on disk: a folder with `bundle.json` and the ONNX graphs that it names, nothing pickled.

The manifest carries everything that serving must do as training did: labels, input size and resize rule, the temperature
that makes confidences probabilities, the threshold below which a person should look, and the pages it was made for.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from inference.errors import BundleInvalid, BundleMissing, ChecksumMismatch

MANIFEST_NAME = "bundle.json"
_ROUNDING = 1e-3


class InputSpec(BaseModel):
    """What the graph takes: uint8 pixels of n x height x width x 3, RGB; `resize` says how a page gets there."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    height: int = Field(ge=32, le=4096)
    width: int = Field(ge=32, le=4096)
    resize: Literal["stretch"] = "stretch"


class Golden(BaseModel):
    """An image that the bundle brings along, and the probabilities that its served graph gave: proof that it runs here too."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    file: str
    probabilities: tuple[float, ...]


class Envelope(BaseModel):
    """What pages the model was made for: by the measures of `inference.look`, by how much the parts of one may disagree (in
    logits, see `inference.dissent`), how far from the training images the graph may find it, and how much like typewriting (in
    logits); None if it does not tell. What lies outside needs a person's look.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    min_aspect_ratio: float = Field(ge=0)
    max_aspect_ratio: float = Field(gt=0)
    min_contrast: float = Field(ge=0, le=255)
    max_row_changes: float = Field(gt=0)
    max_dissent: float
    max_distance: float | None = Field(None, gt=0)
    max_typewriting: float | None = None


class DataNote(BaseModel):
    """What the model was made from: for each split how many images it has, and the fingerprint of what it holds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    images: dict[str, int]
    fingerprints: dict[str, str]


class Manifest(BaseModel):
    """`bundle.json`. `files` maps each file to its SHA-256; `serve` names the graph that CPU workers run."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format_version: Literal[1] = 1
    name: str
    labels: Annotated[tuple[str, ...], Field(min_length=2)]
    input: InputSpec
    temperature: float = Field(gt=0)
    review_threshold: float = Field(ge=0, le=1)
    serve: str
    files: dict[str, str]
    envelope: Envelope | None = None
    golden: Golden | None = None
    data: DataNote | None = None
    metrics: dict[str, Any] = {}
    created_at: str
    notes: dict[str, Any] = {}


@dataclass(frozen=True, slots=True)
class Bundle:
    """A verified bundle: `manifest` and the folder that it describes."""

    directory: Path
    manifest: Manifest

    def graph_path(self, name: str | None = None) -> Path:
        """The ONNX graph called `name`, by default the one to serve on a CPU."""
        return self.directory / (name or self.manifest.serve)


def load_bundle(directory: Path) -> Bundle:
    """Read the manifest and check every file against it. Raises a `BundleError` that says what is wrong."""
    path = directory / MANIFEST_NAME
    if not path.is_file():
        raise BundleMissing(f"There is no {MANIFEST_NAME} in {directory}.")
    try:
        manifest = Manifest.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise BundleInvalid(f"{path} is not a valid manifest: {error}.") from error
    if manifest.serve not in manifest.files:
        raise BundleInvalid(f"{path} serves {manifest.serve!r}, which it does not list.")
    for name, expected in manifest.files.items():
        _check_file(directory, name, expected)
    if manifest.golden is not None:
        _check_golden(path, manifest, manifest.golden)
    return Bundle(directory, manifest)


def _check_golden(path: Path, manifest: Manifest, golden: Golden) -> None:
    if golden.file not in manifest.files:
        raise BundleInvalid(f"{path} has the golden sample {golden.file!r}, which it does not list.")
    probabilities = golden.probabilities
    if len(probabilities) != len(manifest.labels) or not all(0 <= p <= 1 for p in probabilities):
        raise BundleInvalid(
            f"{path} states {list(probabilities)} for its golden sample; its labels are {list(manifest.labels)}."
        )
    if abs(sum(probabilities) - 1) > _ROUNDING:
        raise BundleInvalid(f"{path} states probabilities for its golden sample that sum up to {sum(probabilities):.4f}.")


def _check_file(directory: Path, name: str, expected_sha256: str) -> None:
    if Path(name).name != name:
        raise BundleInvalid(f"The bundle names a file outside itself: {name!r}.")
    path = directory / name
    if not path.is_file():
        raise ChecksumMismatch(f"The bundle in {directory} lacks {name}.")
    if file_sha256(path) != expected_sha256:
        raise ChecksumMismatch(f"{path} does not have the SHA-256 that its manifest states.")


def file_sha256(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
