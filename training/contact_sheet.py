"""The worst mistakes on one sheet: what the model was surest of and wrong about, each with where it looked.

Under each image lies its class activation map, which for this network is Grad-CAM, for the answer that was given.
"""

from dataclasses import dataclass
from functools import cache

from matplotlib.font_manager import findfont
from PIL import Image, ImageDraw, ImageFont, ImageOps

from inference.bundle import Bundle
from inference.cam import overlay
from inference.classifier import Classifier
from inference.preprocess import prepare
from training.data import decoded
from training.evaluate import Evaluation

MOST_MISTAKES = 40
_COLUMNS = 2
_CELL_WIDTH, _IMAGE_HEIGHT = 720, 84  # an image is scaled to fit, its proportions kept
_CAPTION_HEIGHT, _MARGIN, _GAP = 44, 24, 6
_CELL_HEIGHT = _CAPTION_HEIGHT + 2 * (_IMAGE_HEIGHT + _GAP)
_HEADING_HEIGHT = 48
_INK, _FAINT, _PAPER = "#222222", "#6a6a6a", "white"


@dataclass(frozen=True, slots=True)
class Mistake:
    """A wrong answer: the image as decoded, and drawn over with the class activation map of the answer."""

    image: Image.Image
    overlaid: Image.Image
    heading: str
    origin: str


def worst_mistakes(bundle: Bundle, evaluation: Evaluation, *, most: int = MOST_MISTAKES) -> list[Mistake]:
    """The wrong answers with the highest confidence, highest first; `bundle` classifies these few once more for their maps."""
    places = evaluation.mistakes()[:most].tolist()
    if not places:
        return []
    classifier = Classifier(bundle, device="cpu")
    return [_examine(classifier, evaluation, place) for place in places]


def contact_sheet(bundle: Bundle, evaluation: Evaluation, split: str, *, most: int = MOST_MISTAKES) -> Image.Image:
    """A sheet of the worst mistakes on a split, of which there may be none; RGB."""
    mistakes = worst_mistakes(bundle, evaluation, most=most)
    columns = min(_COLUMNS, max(1, len(mistakes)))
    rows = -(-len(mistakes) // columns)
    width = columns * _CELL_WIDTH + (columns + 1) * _MARGIN
    sheet = Image.new("RGB", (width, _MARGIN + _HEADING_HEIGHT + rows * (_CELL_HEIGHT + _MARGIN)), _PAPER)
    wrong, all_images = len(evaluation.mistakes()), len(evaluation.samples)
    heading = f"Worst mistakes, {split}: {len(mistakes)} of {wrong:,} wrong answers (n = {all_images:,})"
    ImageDraw.Draw(sheet).text((_MARGIN, _MARGIN), heading, font=_font(20), fill=_INK)
    for place, mistake in enumerate(mistakes):
        row, column = divmod(place, columns)
        corner = (_MARGIN + column * (_CELL_WIDTH + _MARGIN), _MARGIN + _HEADING_HEIGHT + row * (_CELL_HEIGHT + _MARGIN))
        _draw(sheet, mistake, *corner)
    return sheet


def _examine(classifier: Classifier, evaluation: Evaluation, place: int) -> Mistake:
    sample, answer = evaluation.samples[place], classifier.labels[evaluation.predicted[place]]
    page = decoded(sample.read(), classifier.spec)
    (verdict,) = classifier.classify([prepare(page, classifier.spec)])
    image = ImageOps.contain(page, (_CELL_WIDTH, _IMAGE_HEIGHT))
    return Mistake(
        image=image,
        overlaid=overlay(image, verdict.cam),
        heading=f"{classifier.labels[sample.target]}, taken for {answer} with {evaluation.confidence[place]:.4f}",
        origin=f"{sample.name}  ({sample.source})" if sample.source else sample.name,
    )


def _draw(sheet: Image.Image, mistake: Mistake, left: int, top: int) -> None:
    pen = ImageDraw.Draw(sheet)
    pen.text((left, top), mistake.heading, font=_font(15), fill=_INK)
    pen.text((left, top + 21), _shortened(mistake.origin, _font(12)), font=_font(12), fill=_FAINT)
    for place, image in enumerate((mistake.image, mistake.overlaid)):
        sheet.paste(image, (left, top + _CAPTION_HEIGHT + place * (image.height + _GAP)))


def _shortened(text: str, font: ImageFont.FreeTypeFont) -> str:
    """`text` without as much of its beginning as does not fit: the end of a name tells images apart."""
    if font.getlength(text) <= _CELL_WIDTH:
        return text
    while font.getlength(f"…{text}") > _CELL_WIDTH:
        text = text[1:]
    return f"…{text}"


@cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    """The font of the plots, which matplotlib brings along: names of files have letters that few others have."""
    return ImageFont.truetype(findfont("DejaVu Sans"), size)
