"""Tell good rows from bad ones: an image that serving could not decode is none to train on."""

import hashlib
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from PIL import Image

from inference.errors import ImageError
from inference.images import ImageLimits, open_document
from training.importing.plan import lone_group
from training.importing.rows import LABELS, RawRow


@dataclass(frozen=True, slots=True)
class GoodRow:
    """A row that can be trained on; `pixels` is the SHA-256 of the decoded picture, whatever format it came in."""

    raw: RawRow
    data: bytes
    sha256: str
    pixels: str

    def columns(self) -> dict[str, Any]:
        """The row as a part on disk holds it: the data set's columns, the split that its source gave, and the picture."""
        raw = self.raw
        return {
            "image": {"bytes": self.data, "path": PurePosixPath(raw.file).name},
            "file": raw.file,
            "label": raw.label,
            "group": raw.group or lone_group(self.pixels),
            "source": raw.source,
            "century": raw.century,
            "licence": raw.licence,
            "sha256": self.sha256,
            "split": raw.split,
            "pixels": self.pixels,
        }


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that was left out; `reason` is stable."""

    file: str
    reason: str
    detail: str


def examine(row: RawRow) -> GoodRow | BadRow:
    """Decode the row's image as training will, and say whether it can be used."""
    if row.data is None:
        return BadRow(row.file, "missing_file", "There is no such file.")
    if row.label not in LABELS:
        return BadRow(row.file, "unknown_label", f"The label is {row.label!r}; known are {', '.join(LABELS)}.")
    try:
        with open_document(row.data, ImageLimits()) as document:
            picture = document.page(1)
    except ImageError as error:
        return BadRow(row.file, error.reason, str(error))
    return GoodRow(row, row.data, sha256=hashlib.sha256(row.data).hexdigest(), pixels=pixels_sha256(picture))


def pixels_sha256(picture: Image.Image) -> str:
    """Names a decoded picture: equal for a lossless copy in another format."""
    digest = hashlib.sha256(f"{picture.width}x{picture.height} {picture.mode} ".encode())
    digest.update(picture.tobytes())
    return digest.hexdigest()
