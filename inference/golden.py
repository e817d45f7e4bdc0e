"""The golden sample: an image that a bundle brings along, with the probabilities that its served graph gave where it was made.

A processor, an onnxruntime or a graphics card that computes something else shows in it before the first real answer does.

    ClassifierError
      GoldenMismatch

The docstring of the class is its message.
"""

from inference.classifier import Classifier, ClassifierError, Verdict
from inference.errors import ImageError
from inference.images import ImageLimits
from inference.items import classify_pages, prepare_pages

TOLERANCE = 0.05
"""How far a probability may be off. 8-bit graphs answer slightly otherwise on processors without VNNI, whose sums saturate, and
on a graphics card the full-precision graph runs in the place of the 8-bit one; a model that is broken misses by far more."""


class GoldenMismatch(ClassifierError):
    """The model does not answer here as it did where it was made."""


def check_golden(classifier: Classifier) -> None:
    """Have `classifier` answer its bundle's golden sample. Raises `GoldenMismatch`, or `OutOfMemory`.

    A bundle without a golden sample passes: those made before there were any are as good as they were.
    """
    golden = classifier.bundle.manifest.golden
    if golden is None:
        return
    verdict = answer_page(classifier, (classifier.bundle.directory / golden.file).read_bytes())
    expected = dict(zip(classifier.labels, golden.probabilities, strict=True))
    winner = max(expected, key=lambda label: expected[label])
    if verdict.predicted_class != winner:
        raise GoldenMismatch(
            f"{GoldenMismatch.__doc__} Its golden sample is {winner} ({expected[winner]:.3f}); "
            f"here it is {verdict.predicted_class} ({verdict.confidence:.3f})."
        )
    difference = max(abs(verdict.probabilities[label] - expected[label]) for label in expected)
    if not difference <= TOLERANCE:  # so that a probability that is no number is refused, too
        raise GoldenMismatch(
            f"{GoldenMismatch.__doc__} The probabilities of its golden sample are off by {difference:.3f}; "
            f"{TOLERANCE} is allowed."
        )


def answer_page(classifier: Classifier, data: bytes) -> Verdict:
    """The verdict on the first page of `data`, by way of the functions that serve. Raises `GoldenMismatch` for no image."""
    first = next(prepare_pages(data, ImageLimits(), classifier.spec))
    [answer] = classify_pages(classifier, [first])
    if isinstance(answer.result, ImageError):
        raise GoldenMismatch(f"{GoldenMismatch.__doc__} Its golden sample cannot be read: {answer.result}")
    return answer.result
