"""The images that the benchmarks run on: real lines where they are there, else the samples that ship."""

import csv
import io
import random
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image

_SAMPLES = Path("samples/images")


def read_images(data: Path, count: int, *, seed: int = 0) -> list[bytes]:
    """`count` images below `data`, in random order and repeated where there are fewer; into memory."""
    folder = data if data.is_dir() else _SAMPLES
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in {".jpg", ".png"})
    if not paths:
        raise SystemExit(f"There are no JPEG or PNG images in {folder}.")
    random.Random(seed).shuffle(paths)  # noqa: S311  # an order, not a secret
    return [paths[number % len(paths)].read_bytes() for number in range(count)]


def read_rows(folder: Path) -> list[dict[str, str]]:
    """The rows of the `metadata.csv` in `folder`, which tells of each file what it is."""
    with (folder / "metadata.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def decoded(data: bytes) -> Image.Image:
    """An image file in RGB."""
    return Image.open(io.BytesIO(data)).convert("RGB")


def encoded(image: Image.Image, image_format: str = "PNG", **options: Any) -> bytes:
    """`image` as a file."""
    file = io.BytesIO()
    image.save(file, image_format, **options)
    return file.getvalue()


def zipped(images: Sequence[bytes]) -> bytes:
    """The images as one zip, stored."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for number, image in enumerate(images):
            archive.writestr(f"{number:06d}.jpg", image)
    return file.getvalue()
