import threading

import pypdfium2 as pdfium
import pytest
from PIL import Image

from inference import errors
from inference.images import ImageLimits, open_document
from inference.pdf import Pdf, is_pdf
from tests.inference.documents import RAMP, decode, encrypted_pdf, grey_error, pdf, ramp
from tests.pictures import encoded


def scanned_pdf(*pages: Image.Image, dpi: int = 72) -> bytes:
    return encoded(pages[0], "PDF", resolution=dpi, save_all=True, append_images=pages[1:])


def test_each_page_is_drawn_at_the_resolution_asked_for() -> None:
    data = scanned_pdf(ramp().convert("RGB"), Image.new("RGB", (40, 20), "white"))
    with open_document(data, ImageLimits(pdf_dpi=72)) as document:
        assert document.page_count == 2
        assert grey_error(document.page(1)) < 2
        assert document.page(2).getextrema() == ((255, 255),) * 3
    assert decode(data, pdf_dpi=144).size == (RAMP.shape[1] * 2, RAMP.shape[0] * 2)


def test_a_page_looks_the_same_whatever_size_it_is_needed_for() -> None:
    data = scanned_pdf(ramp().convert("RGB"))
    assert decode(data, at_least=(8, 8), pdf_dpi=72).tobytes() == decode(data, pdf_dpi=72).tobytes()


def test_a_turned_page_is_drawn_upright() -> None:
    assert decode(pdf(media_box="0 0 200 100", page="/Rotate 90"), pdf_dpi=72).size == (100, 200)


def test_a_header_behind_a_little_junk_is_found_and_no_further() -> None:
    assert is_pdf(b"\n" * 1000 + b"%PDF-1.7")
    assert not is_pdf(b"\n" * 1024 + b"%PDF-1.7")


def test_an_encrypted_document_is_told_from_a_broken_one() -> None:
    with pytest.raises(errors.EncryptedDocument):
        decode(encrypted_pdf())
    with pytest.raises(errors.BrokenImage):
        decode(pdf()[:60])


def test_half_a_document_is_broken() -> None:
    data = scanned_pdf(Image.effect_noise((200, 200), 50))
    with pytest.raises(errors.BrokenImage):
        decode(data[: len(data) // 2])


def test_pages_are_limited_before_one_is_drawn() -> None:
    with pytest.raises(errors.TooManyPages, match="900 pages; at most 500"):
        decode(pdf(count=900))


def test_a_page_that_would_be_too_large_is_not_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pdfium.PdfPage, "render", lambda *_, **__: pytest.fail("it was drawn"))
    with pytest.raises(errors.TooManyPixels, match="At 300 dpi"):
        decode(pdf(media_box="0 0 14400 14400"))


def test_a_page_that_is_not_there_is_refused() -> None:
    with pytest.raises(errors.NoSuchPage):
        decode(pdf(), 2)


def test_one_lost_page_spoils_only_itself() -> None:
    data = pdf(count=2).replace(b"[3 0 R]", b"[3 0 R 9 0 R]")
    with open_document(data, ImageLimits(pdf_dpi=72)) as document:
        assert document.page(1).size == (200, 100)
        with pytest.raises(errors.BrokenImage):
            document.page(2)


@pytest.mark.parametrize("raised", [MemoryError(), ValueError("stride"), OSError()])
def test_whatever_drawing_raises_ends_as_an_image_error(monkeypatch: pytest.MonkeyPatch, raised: Exception) -> None:
    def fail(*_: object, **__: object) -> None:
        raise raised

    monkeypatch.setattr(pdfium.PdfPage, "render", fail)
    with pytest.raises(errors.BrokenImage):
        decode(pdf())


def test_pages_are_closed_where_the_lock_is_held() -> None:
    """Left to the garbage collector, PDFium would be entered from any thread at any time."""
    with open_document(pdf(), ImageLimits(pdf_dpi=72)) as document:
        assert isinstance(document, Pdf)
        document.page(1)
        assert [kid() for kid in document._document._kids if kid() is not None and kid().raw] == []


def test_threads_may_draw_at_once() -> None:
    data = scanned_pdf(*[ramp().convert("RGB")] * 4)
    wrong: list[float] = []

    def draw() -> None:
        with open_document(data, ImageLimits(pdf_dpi=72)) as document:
            wrong.extend(error for number in range(1, 5) if (error := grey_error(document.page(number))) > 2)

    threads = [threading.Thread(target=draw) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
