"""The chain from one item's bytes to an answer for each of its pages. One bad page spoils only itself."""

from collections.abc import Iterator
from dataclasses import dataclass

from inference.bundle import InputSpec
from inference.classifier import Classifier, Verdict
from inference.errors import ImageError
from inference.images import Document, ImageLimits, open_document
from inference.look import measure
from inference.preprocess import Prepared
from inference.review import ReviewReason, review_reason


@dataclass(frozen=True, slots=True)
class PreparedPage:
    """A page on its way to the model, or the reason why it cannot go there."""

    page: int
    result: Prepared | ImageError


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a page, and why a person should look at it; None if nobody needs to, or if it has no verdict."""

    page: int
    result: Verdict | ImageError
    review: ReviewReason | None = None


def prepare_pages(data: bytes, limits: ImageLimits, spec: InputSpec) -> Iterator[PreparedPage]:
    """Decode and resize every page of `data`, one at a time; at least one result, since an unreadable file is one too."""
    try:
        with open_document(data, limits) as document:
            for page in range(1, document.page_count + 1):
                yield PreparedPage(page, _prepare_page(document, page, spec))
    except ImageError as error:
        yield PreparedPage(1, error)


def _prepare_page(document: Document, page: int, spec: InputSpec) -> Prepared | ImageError:
    try:
        return Prepared.of(document.page(page, at_least=(spec.width, spec.height)), spec)
    except ImageError as error:
        return error


def classify_pages(classifier: Classifier, pages: list[PreparedPage], *, review_threshold: float | None = None) -> list[Answer]:
    """Answer every page, in order; those that could be prepared are run through the model in one batch.

    `review_threshold` goes before that of the classifier's bundle.
    """
    verdicts = iter(classifier.classify([p.result.pixels for p in pages if not isinstance(p.result, ImageError)]))
    manifest = classifier.bundle.manifest

    def answer(page: int, result: Prepared | ImageError) -> Answer:
        if isinstance(result, ImageError):
            return Answer(page, result)
        verdict = next(verdicts)
        return Answer(page, verdict, review_reason(measure(result), verdict, manifest, threshold=review_threshold))

    return [answer(p.page, p.result) for p in pages]
