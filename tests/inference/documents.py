"""Pages and files for the tests of decoding: a page that looks like one, TIFFs of any sample kind, small PDFs by hand."""

import struct
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from inference.images import ImageLimits, open_document

Grey = npt.NDArray[np.uint8]

WIDTH, HEIGHT = 64, 32
RAMP: Grey = np.linspace(0, 255, WIDTH * HEIGHT).reshape(HEIGHT, WIDTH).astype(np.uint8)
"""A grey ramp without symmetry: turned, mirrored or inverted it is another picture."""


def ramp() -> Image.Image:
    """The ramp as an image of its own: `Image.save` leaves traces in the image, which the next `save` trips over."""
    return Image.fromarray(RAMP)


def decode(data: bytes, page: int = 1, *, at_least: tuple[int, int] | None = None, **limits: int) -> Image.Image:
    """One page of a file."""
    with open_document(data, ImageLimits(**limits)) as document:
        return document.page(page, at_least=at_least)


def grey_error(page: Image.Image, expected: Grey = RAMP) -> float:
    """The mean absolute difference to `expected`, over the three channels of an RGB page."""
    assert page.mode == "RGB"
    assert page.size == (expected.shape[1], expected.shape[0])
    return float(np.abs(np.asarray(page, dtype=np.int16) - expected[..., None].astype(np.int16)).mean())


def written_page(width: int = 2000, height: int = 500) -> Image.Image:
    """Dark lines of text on a yellowed sheet, darker towards its foot."""
    shade = np.linspace(1.0, 0.85, height)[:, None, None] * np.array([236, 224, 196])
    page = Image.fromarray(np.broadcast_to(shade, (height, width, 3)).astype(np.uint8))
    draw = ImageDraw.Draw(page)
    for line, top in enumerate(range(40, height - 80, 90)):
        draw.text((60, top), f"{line}. Item a parish register of the year 17{line}4", fill=(48, 36, 30), font=_font())
    return page


def _font() -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size=60)


def tiff(
    samples: npt.NDArray[Any] | bytes,
    *,
    bits: int,
    photometric: int = 1,
    sample_format: int = 1,
    order: str = "<",
    next_page: int = 0,
) -> bytes:
    """An uncompressed single-channel TIFF of the ramp's size, for the kinds that Pillow does not write."""
    data = samples if isinstance(samples, bytes) else samples.tobytes()
    tags = {
        256: WIDTH,
        257: HEIGHT,
        258: bits,
        259: 1,
        262: photometric,
        273: 0,
        277: 1,
        278: HEIGHT,
        279: len(data),
        339: sample_format,
    }
    tags[273] = 8 + 2 + 12 * len(tags) + 4
    entries = b"".join(struct.pack(f"{order}HHLL", tag, 4, 1, value) for tag, value in tags.items())
    header = struct.pack(f"{order}2sHL", b"II" if order == "<" else b"MM", 42, 8)
    return header + struct.pack(f"{order}H", len(tags)) + entries + struct.pack(f"{order}L", next_page) + data


def tiff_chain(next_offsets: list[int], *, order: str = "<") -> bytes:
    """A TIFF header with empty directories of six bytes each, the first at offset 8, linked as told."""
    header = struct.pack(f"{order}2sHL", b"II" if order == "<" else b"MM", 42, 8)
    return header + b"".join(struct.pack(f"{order}HL", 0, offset) for offset in next_offsets)


def pdf(*, media_box: str = "0 0 200 100", page: str = "", trailer: str = "", objects: str = "", count: int = 1) -> bytes:
    """A PDF with one blank page; without a cross-reference table, which PDFium rebuilds."""
    text = (
        "%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n"
        f"2 0 obj<</Type/Pages/Kids[3 0 R]/Count {count}>>endobj\n"
        f"3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[{media_box}]{page}>>endobj\n"
        f"{objects}trailer<</Root 1 0 R{trailer}>>\n%%EOF"
    )
    return text.encode()


def encrypted_pdf() -> bytes:
    """A PDF whose password nobody knows."""
    handler = f"4 0 obj<</Filter/Standard/V 1/R 2/O<{'41' * 32}>/U<{'42' * 32}>/P -4>>endobj\n"
    return pdf(objects=handler, trailer=f"/Encrypt 4 0 R/ID[<{'00' * 16}><{'00' * 16}>]")
