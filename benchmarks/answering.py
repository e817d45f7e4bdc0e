"""Ask a classifier what serving would answer to one image."""

from inference.classifier import Classifier, Verdict
from inference.images import ImageLimits
from inference.items import classify_pages, prepare_pages
from inference.review import ReviewReason

_LIMITS = ImageLimits()


def answer(classifier: Classifier, data: bytes) -> tuple[Verdict, ReviewReason | None]:
    """The verdict on an image of one page, and why a person should look at it. Raises an `ImageError`."""
    (found,) = classify_pages(classifier, list(prepare_pages(data, _LIMITS, classifier.spec)))
    if not isinstance(found.result, Verdict):
        raise found.result
    return found.result, found.review
