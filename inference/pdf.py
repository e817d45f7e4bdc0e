"""Pages of a PDF as images, drawn by PDFium. PDFium is not thread-safe: one lock guards the process."""

import math
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pypdfium2 as pdfium
from PIL import Image

from inference.errors import BrokenImage, EncryptedDocument, ImageError, NoSuchPage, TooManyPages, TooManyPixels

_POINTS_PER_INCH = 72
_HEADER_WINDOW_BYTES = 1024
_pdfium_lock = threading.RLock()


def is_pdf(data: bytes) -> bool:
    """Whether the PDF header stands within the first KiB, where readers look for it."""
    return b"%PDF-" in data[:_HEADER_WINDOW_BYTES]


@contextmanager
def open_pdf(data: bytes, *, max_pages: int, max_pixels: int, dpi: int) -> Iterator["Pdf"]:
    """Open a PDF held in memory. Raises `EncryptedDocument`, `BrokenImage` or `TooManyPages`."""
    with _pdfium_lock:
        try:
            document = pdfium.PdfDocument(data)
        except Exception as error:  # PDFium's own, and what its bindings raise on memory that is not there
            if "password" in str(error).lower() or "security" in str(error).lower():
                raise EncryptedDocument from error
            raise BrokenImage(f"The PDF cannot be opened: {error}.") from error
    try:
        yield Pdf(document, max_pages=max_pages, max_pixels=max_pixels, dpi=dpi)
    finally:
        with _pdfium_lock:
            document.close()


class Pdf:
    """An opened PDF; see `inference.images.Document`."""

    def __init__(self, document: pdfium.PdfDocument, *, max_pages: int, max_pixels: int, dpi: int) -> None:
        with _pdfium_lock:
            self.page_count = len(document)
        if self.page_count > max_pages:
            raise TooManyPages(f"The PDF has {self.page_count} pages; at most {max_pages} are allowed.")
        if self.page_count == 0:
            raise BrokenImage("The PDF has no pages.")
        self._document, self._max_pixels, self._dpi = document, max_pixels, dpi

    def page(self, number: int, *, at_least: tuple[int, int] | None = None) -> Image.Image:
        """Draw page `number` at the document's resolution; `at_least` changes nothing, so that a page always looks the same."""
        if not 1 <= number <= self.page_count:
            raise NoSuchPage(f"The PDF has {self.page_count} pages; there is no page {number}.")
        with _pdfium_lock:
            try:
                return self._draw(number - 1)
            except ImageError:
                raise
            except Exception as error:
                raise BrokenImage(f"Page {number} of the PDF cannot be drawn: {error}.") from error

    def _draw(self, index: int) -> Image.Image:
        scale = self._dpi / _POINTS_PER_INCH
        # Closed here and not by the garbage collector, which would do so in any thread and without the lock.
        with closing(self._document[index]) as page:
            width, height = page.get_size()
            self._refuse_too_many_pixels(width, height, scale)
            with closing(page.render(scale=scale, rev_byteorder=True)) as bitmap:
                drawn: Image.Image = bitmap.to_pil().convert("RGB")  # a copy: the bitmap's own pixels go away
                return drawn

    def _refuse_too_many_pixels(self, width_points: float, height_points: float, scale: float) -> None:
        width, height = math.ceil(width_points * scale), math.ceil(height_points * scale)
        if width * height > self._max_pixels:
            raise TooManyPixels(
                f"At {self._dpi} dpi the page has {width} x {height} = {width * height} pixels; "
                f"at most {self._max_pixels} are allowed."
            )
