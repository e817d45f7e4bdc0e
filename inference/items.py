"""The chain from one item's bytes to an answer for each of its pages. One bad page spoils only itself."""

from collections.abc import Iterator
from dataclasses import dataclass

from inference.bundle import InputSpec
from inference.classifier import Classifier, Verdict
from inference.errors import ImageError
from inference.images import Document, ImageLimits, open_document
from inference.preprocess import Pixels, prepare


@dataclass(frozen=True, slots=True)
class PreparedPage:
    """A page on its way to the model, or the reason why it cannot go there."""

    page: int
    result: Pixels | ImageError


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a page."""

    page: int
    result: Verdict | ImageError


def prepare_pages(data: bytes, limits: ImageLimits, spec: InputSpec) -> Iterator[PreparedPage]:
    """Decode and resize every page of `data`, one at a time; at least one result, since an unreadable file is one too."""
    try:
        with open_document(data, limits) as document:
            for page in range(1, document.page_count + 1):
                yield PreparedPage(page, _prepare_page(document, page, spec))
    except ImageError as error:
        yield PreparedPage(1, error)


def _prepare_page(document: Document, page: int, spec: InputSpec) -> Pixels | ImageError:
    try:
        return prepare(document.page(page, at_least=(spec.width, spec.height)), spec)
    except ImageError as error:
        return error


def classify_pages(classifier: Classifier, pages: list[PreparedPage]) -> list[Answer]:
    """Answer every page, in order; those that could be prepared are run through the model in one batch."""
    verdicts = iter(classifier.classify([p.result for p in pages if not isinstance(p.result, ImageError)]))
    return [Answer(p.page, p.result if isinstance(p.result, ImageError) else next(verdicts)) for p in pages]
