"""Open a file of unknown origin and decode its pages, within limits that are checked before memory is spent.

A multi-page TIFF has one page per image, a PDF one per page; of anything animated the first frame counts. The formats are
a short list because most decoder vulnerabilities lie in the long tail that archives do not use.
"""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from PIL import Image, ImageOps, UnidentifiedImageError

from inference import pdf, pixels
from inference.errors import (
    BrokenImage,
    EmptyFile,
    FileTooLarge,
    ImageError,
    NoSuchPage,
    NotAnImage,
    TooManyPages,
    TooManyPixels,
    TruncatedImage,
)

FORMATS = ("JPEG", "PNG", "TIFF", "JPEG2000", "WEBP", "GIF", "BMP")

# Pillow's own bomb check warns at half its limit and errs at twice; ours is exact, and made before decoding.
Image.MAX_IMAGE_PIXELS = None


@dataclass(frozen=True, slots=True)
class ImageLimits:
    """What one file may cost: bytes as stored, pixels per page, pages, and the resolution at which PDF pages are drawn."""

    max_bytes: int = 256 * 1024**2
    max_pixels: int = 100_000_000
    max_pages: int = 500
    pdf_dpi: int = 300


class Document(Protocol):
    """An opened file: `page_count` pages, numbered from 1."""

    page_count: int

    def page(self, number: int, *, at_least: tuple[int, int] | None = None) -> Image.Image:
        """Decode page `number` as an upright 8-bit RGB image; `at_least` (width, height) allows a cheaper, smaller decode."""


@contextmanager
def open_document(data: bytes, limits: ImageLimits) -> Iterator[Document]:
    """Open `data` as an image or PDF. Raises an `ImageError`; pages are decoded only when asked for."""
    if not data:
        raise EmptyFile
    if len(data) > limits.max_bytes:
        raise FileTooLarge(f"The file has {len(data)} bytes; at most {limits.max_bytes} are allowed.")
    if pdf.is_pdf(data):
        with pdf.open_pdf(data, max_pages=limits.max_pages, max_pixels=limits.max_pixels, dpi=limits.pdf_dpi) as document:
            yield document
        return
    with _open_raster(data) as image:
        yield _Raster(image, limits)


def _open_raster(data: bytes) -> Image.Image:
    try:
        return Image.open(io.BytesIO(data), formats=FORMATS)
    except UnidentifiedImageError:
        raise NotAnImage from None
    except Exception as error:  # decoders raise whatever they like on hostile headers
        raise BrokenImage(f"The image's header cannot be read: {error}.") from error


class _Raster:
    def __init__(self, image: Image.Image, limits: ImageLimits) -> None:
        self._image, self._limits = image, limits
        self.page_count = self._count_pages()

    def _count_pages(self) -> int:
        if self._image.format != "TIFF":
            return 1
        with _decoding():
            count = int(getattr(self._image, "n_frames", 1))
        if count > self._limits.max_pages:
            raise TooManyPages(f"The TIFF has {count} pages; at most {self._limits.max_pages} are allowed.")
        return count

    def page(self, number: int, *, at_least: tuple[int, int] | None = None) -> Image.Image:
        if not 1 <= number <= self.page_count:
            raise NoSuchPage(f"The document has {self.page_count} pages; there is no page {number}.")
        with _decoding():
            if self.page_count > 1:
                self._image.seek(number - 1)
            self._refuse_too_many_pixels()
            if at_least and self._image.format in ("JPEG", "MPO"):  # an MPO is a JPEG with more pictures behind the first
                longest = max(at_least)  # the page may lie on its side until EXIF is applied
                self._image.draft("RGB", (longest, longest))
            self._image.load()
            return ImageOps.exif_transpose(pixels.to_rgb(self._image))

    def _refuse_too_many_pixels(self) -> None:
        width, height = self._image.size
        if width * height > self._limits.max_pixels:
            raise TooManyPixels(
                f"The image has {width} x {height} = {width * height} pixels; at most {self._limits.max_pixels} are allowed."
            )


@contextmanager
def _decoding() -> Iterator[None]:
    """Translate what decoders raise into the `ImageError` that says what was wrong."""
    try:
        yield
    except ImageError:
        raise
    except Exception as error:
        text = str(error).lower()
        if isinstance(error, EOFError) or "truncated" in text or "incomplete" in text or "unexpected end" in text:
            raise TruncatedImage from error
        raise BrokenImage(f"The image cannot be decoded: {error}.") from error
