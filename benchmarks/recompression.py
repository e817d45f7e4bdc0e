"""`python -m benchmarks.recompression`: how far an answer moves when a line is compressed anew, and so is another picture."""

import argparse
from collections.abc import Callable
from pathlib import Path

from PIL import ExifTags, Image

from benchmarks.answering import answer
from benchmarks.images import decoded, encoded, read_images
from inference.bundle import load_bundle
from inference.classifier import Classifier
from registry.starter import STARTER

_MOVED = 0.02


def main() -> None:
    """Classify each line plain and compressed anew, and count what moved."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="folder with lines/test; else the samples")
    parser.add_argument("--images", type=int, default=150)
    options = parser.parse_args()
    classifier = Classifier(load_bundle(STARTER), device="cpu")
    lines = [decoded(data) for data in read_images(options.data / "lines/test", options.images)]
    plain = [answer(classifier, encoded(line))[0] for line in lines]
    for name, compress in _WAYS.items():
        anew = [answer(classifier, compress(line))[0] for line in lines]
        pairs = list(zip(plain, anew, strict=True))
        changed = sum(a.predicted_class != b.predicted_class for a, b in pairs)
        moved = sum(abs(a.confidence - b.confidence) > _MOVED for a, b in pairs)
        print(f"{name:18}: of {len(pairs)} lines {changed} changed class, {moved} moved by more than {_MOVED}")


def _rotated(image: Image.Image) -> bytes:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    return encoded(image.transpose(Image.Transpose.ROTATE_90), "JPEG", quality=95, exif=exif)


_WAYS: dict[str, Callable[[Image.Image], bytes]] = {
    "256 colours": lambda image: encoded(image.quantize(256, dither=Image.Dither.NONE)),
    "JPEG": lambda image: encoded(image, "JPEG", quality=95),
    "CMYK JPEG": lambda image: encoded(image.convert("CMYK"), "JPEG", quality=95),
    "rotated JPEG, EXIF": _rotated,
}


if __name__ == "__main__":
    main()
