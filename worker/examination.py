"""A look at a picture that every worker can read, before a process takes work. If that kills it, no archive is to blame."""

import io

from PIL import Image, ImageDraw

from inference import items
from inference.items import PreparedPage
from registry.errors import NoModel
from store import faults
from worker.runtime import Runtime

_NAME = "known picture"


def examine(runtime: Runtime) -> None:
    """Decode the known picture and classify it. Without a model yet there is nothing to examine."""
    try:
        classifier = runtime.models.get().classifier
    except NoModel:
        return
    faults.reach("before_decode", item=_NAME)
    pages: list[PreparedPage] = list(items.prepare_pages(_picture(), runtime.limits, classifier.spec))
    items.classify_pages(classifier, pages)


def _picture() -> bytes:
    image = Image.new("RGB", (512, 128), "white")
    draw = ImageDraw.Draw(image)
    for left in range(20, 480, 24):
        draw.line((left, 96, left + 16, 32), fill="black", width=3)
    data = io.BytesIO()
    image.save(data, "JPEG")
    return data.getvalue()
