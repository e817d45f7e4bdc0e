import pytest

from inference import preprocess
from inference.classifier import Classifier, Verdict
from inference.errors import EmptyFile, ImageError, NotAnImage, TooManyPages, TruncatedImage
from inference.images import ImageLimits
from inference.items import PreparedPage, classify_pages, prepare_pages
from inference.preprocess import Pixels, Prepared
from tests.pictures import DARK, GREY, LIGHT, RIBBON, encoded, picture, png
from tests.tiny_bundle import HEIGHT, WIDTH

LIMITS = ImageLimits()


def prepared(classifier: Classifier, data: bytes, limits: ImageLimits = LIMITS) -> list[PreparedPage]:
    return list(prepare_pages(data, limits, classifier.spec))


def three_pages() -> bytes:
    return encoded(picture(DARK), "TIFF", save_all=True, append_images=[picture(LIGHT), picture(DARK)])


def test_every_page_is_brought_to_the_models_size(tiny_classifier: Classifier) -> None:
    pages = prepared(tiny_classifier, three_pages())
    assert [page.page for page in pages] == [1, 2, 3]
    assert all(not isinstance(p.result, ImageError) and p.result.pixels.shape == (HEIGHT, WIDTH, 3) for p in pages)


@pytest.mark.parametrize(("data", "error"), [(b"", EmptyFile), (b"text", NotAnImage), (png()[:60], TruncatedImage)])
def test_a_file_that_cannot_be_read_is_one_result(tiny_classifier: Classifier, data: bytes, error: type[ImageError]) -> None:
    [page] = prepared(tiny_classifier, data)
    assert page.page == 1
    assert isinstance(page.result, error)


def test_a_document_with_too_many_pages_is_one_result(tiny_classifier: Classifier) -> None:
    [page] = prepared(tiny_classifier, three_pages(), ImageLimits(max_pages=2))
    assert isinstance(page.result, TooManyPages)


def test_a_lost_page_spoils_only_itself(tiny_classifier: Classifier) -> None:
    data = bytearray(three_pages())
    pages = prepared(tiny_classifier, bytes(data[:-4000]))  # the last page's pixels stand at the end
    assert [isinstance(page.result, TruncatedImage) for page in pages] == [False, False, True]
    answers = classify_pages(tiny_classifier, pages)
    assert [getattr(a.result, "predicted_class", None) for a in answers] == ["handwritten", "printed", None]


def test_good_pages_keep_their_own_verdicts_between_bad_ones(tiny_classifier: Classifier) -> None:
    good = {level: prepared(tiny_classifier, png(level))[0].result for level in (DARK, LIGHT)}
    results: list[Prepared | ImageError] = [EmptyFile(), good[LIGHT], EmptyFile(), good[DARK], EmptyFile()]
    answers = classify_pages(tiny_classifier, [PreparedPage(number, result) for number, result in enumerate(results)])
    assert [answer.page for answer in answers] == [0, 1, 2, 3, 4]
    classes = [a.result.predicted_class if isinstance(a.result, Verdict) else None for a in answers]
    assert classes == [None, "printed", None, "handwritten", None]


def test_each_page_is_told_why_a_person_should_look(tiny_classifier: Classifier) -> None:
    sizes = [(120, 40), RIBBON, (120, 40)]
    pages = [prepared(tiny_classifier, png(level, size=size))[0] for level, size in zip((DARK, DARK, GREY), sizes, strict=True)]
    pages.insert(1, PreparedPage(1, EmptyFile()))
    reasons = [None, None, "unusual_shape", "low_confidence"]
    assert [answer.review for answer in classify_pages(tiny_classifier, pages)] == reasons
    lenient = classify_pages(tiny_classifier, pages, review_threshold=0.0)
    assert [answer.review for answer in lenient] == [None, None, "unusual_shape", None]


def test_bad_pages_alone_do_not_run_the_model(tiny_classifier: Classifier) -> None:
    [answer] = classify_pages(tiny_classifier, [PreparedPage(1, EmptyFile())])
    assert isinstance(answer.result, EmptyFile)


def test_pages_are_decoded_one_at_a_time(tiny_classifier: Classifier, monkeypatch: pytest.MonkeyPatch) -> None:
    decoded: list[int] = []
    original = preprocess.prepare

    def watched(*arguments: object) -> Pixels:
        decoded.append(1)
        return original(*arguments)  # type: ignore[arg-type]  # passed on

    monkeypatch.setattr(preprocess, "prepare", watched)
    pages = prepare_pages(three_pages(), LIMITS, tiny_classifier.spec)
    next(pages)
    assert len(decoded) == 1
