"""`python -m benchmarks.recompression`: how far an answer moves when a line is compressed anew, and so is another picture."""

import argparse
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import ExifTags, Image

from benchmarks.images import read_images
from inference.bundle import load_bundle
from inference.classifier import Classifier, Verdict
from inference.images import ImageLimits
from inference.items import classify_pages, prepare_pages
from registry.starter import STARTER

_MOVED = 0.02


def main() -> None:
    """Classify each line plain and compressed anew, and count what moved."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="folder with lines/test; else the samples")
    parser.add_argument("--images", type=int, default=150)
    options = parser.parse_args()
    classifier = Classifier(load_bundle(STARTER), device="cpu")
    lines = [Image.open(io.BytesIO(data)).convert("RGB") for data in read_images(options.data / "lines/test", options.images)]
    plain = [_verdict(classifier, _encoded(line, "PNG")) for line in lines]
    for name, compress in _WAYS.items():
        anew = [_verdict(classifier, compress(line)) for line in lines]
        pairs = list(zip(plain, anew, strict=True))
        changed = sum(a.predicted_class != b.predicted_class for a, b in pairs)
        moved = sum(abs(a.confidence - b.confidence) > _MOVED for a, b in pairs)
        print(f"{name:18}: of {len(pairs)} lines {changed} changed class, {moved} moved by more than {_MOVED}")


def _verdict(classifier: Classifier, data: bytes) -> Verdict:
    (answer,) = classify_pages(classifier, list(prepare_pages(data, ImageLimits(), classifier.spec)))
    if not isinstance(answer.result, Verdict):
        raise answer.result
    return answer.result


def _encoded(image: Image.Image, image_format: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, image_format, **options)
    return file.getvalue()


def _rotated(image: Image.Image) -> bytes:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    return _encoded(image.transpose(Image.Transpose.ROTATE_90), "JPEG", quality=95, exif=exif)


_WAYS: dict[str, Callable[[Image.Image], bytes]] = {
    "256 colours": lambda image: _encoded(image.quantize(256, dither=Image.Dither.NONE), "PNG"),
    "JPEG": lambda image: _encoded(image, "JPEG", quality=95),
    "CMYK JPEG": lambda image: _encoded(image.convert("CMYK"), "JPEG", quality=95),
    "rotated JPEG, EXIF": _rotated,
}


if __name__ == "__main__":
    main()
