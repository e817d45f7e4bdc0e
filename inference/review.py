"""Why a person should look at a page. What the page shows comes first, the model's own doubt last: a model can be sure, and
wrong, of something that it never saw the like of.
"""

from enum import StrEnum

from inference.bundle import Envelope, Manifest
from inference.classifier import Oddity, Verdict
from inference.look import Look


class ReviewReason(StrEnum):
    """The reasons, the first that holds is given; they are stable, and stand in result rows and API answers."""

    BLANK = "blank"  # hardly anything stands out from the paper
    UNUSUAL_SHAPE = "unusual_shape"  # higher or longer than lines are: a page, a single letter
    CROWDED = "crowded"  # more goes on from top to bottom than in a line: several lines, a page, a picture
    UNFAMILIAR = "unfamiliar"  # the network finds it far from everything that it was trained on
    TYPEWRITTEN = "typewritten"  # it looks like typewriting, which is neither handwriting nor what the model knows as print
    DIVIDED = "divided"  # a part of it speaks clearly for another class: half of it printed, half written
    LOW_CONFIDENCE = "low_confidence"  # the probability of the predicted class is below the review threshold


def review_reason(look: Look, verdict: Verdict, manifest: Manifest, *, threshold: float | None = None) -> ReviewReason | None:
    """Why a person should look at a page; None if nobody needs to. `threshold` goes before the manifest's review threshold."""
    if manifest.envelope:
        strange = odd_look(look, manifest.envelope)
        strange = strange or odd_answer(verdict.oddity, manifest.envelope)
        if strange:
            return strange
    lowest = manifest.review_threshold if threshold is None else threshold
    return ReviewReason.LOW_CONFIDENCE if verdict.confidence < lowest else None


def odd_look(look: Look, envelope: Envelope) -> ReviewReason | None:
    """What in its look sets a page apart from those that the model was made for; None if nothing does."""
    if look.contrast < envelope.min_contrast:
        return ReviewReason.BLANK
    if not envelope.min_aspect_ratio <= look.aspect_ratio <= envelope.max_aspect_ratio:
        return ReviewReason.UNUSUAL_SHAPE
    if look.row_changes > envelope.max_row_changes:
        return ReviewReason.CROWDED
    return None


def odd_answer(oddity: Oddity, envelope: Envelope) -> ReviewReason | None:
    """What in the model's answer does, however sure it is; None if nothing does."""
    if _exceeds(oddity.distance, envelope.max_distance):
        return ReviewReason.UNFAMILIAR
    if _exceeds(oddity.typewriting, envelope.max_typewriting):
        return ReviewReason.TYPEWRITTEN
    return ReviewReason.DIVIDED if _exceeds(oddity.dissent, envelope.max_dissent) else None


def _exceeds(value: float | None, limit: float | None) -> bool:
    """False where the graph does not tell the value, or the envelope sets no limit."""
    return value is not None and limit is not None and value > limit
