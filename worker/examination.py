"""A look at an archive with a picture that every worker can read, before a process takes work. If that kills it, no upload is
to blame.
"""

import io
import zipfile

from PIL import Image, ImageDraw

from inference import items
from inference.items import PreparedPage
from registry.errors import NoModel
from store import archives, faults
from worker.runtime import Runtime

_ARCHIVE, _NAME = "known archive", "known picture"


def examine(runtime: Runtime) -> None:
    """Find the known picture in the known archive, decode it and classify it, unless there is no model yet."""
    picture = _unpack(_archive(), runtime.settings.max_item_bytes)
    try:
        classifier = runtime.models.get().classifier
    except NoModel:
        return
    faults.reach("before_decode", item=_NAME)
    pages: list[PreparedPage] = list(items.prepare_pages(picture, runtime.limits, classifier.spec))
    items.classify_pages(classifier, pages)


def _unpack(archive: bytes, max_item_bytes: int) -> bytes:
    faults.reach("before_list", item=_ARCHIVE)
    with archives.open_archive(io.BytesIO(archive), max_items=1) as opened:
        (member,) = archives.list_members(opened, max_item_bytes=max_item_bytes)
        return archives.read_member(opened, member.index, max_item_bytes=max_item_bytes)


def _archive() -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"{_NAME}.jpg", _picture())
    return data.getvalue()


def _picture() -> bytes:
    image = Image.new("RGB", (512, 128), "white")
    draw = ImageDraw.Draw(image)
    for left in range(20, 480, 24):
        draw.line((left, 96, left + 16, 32), fill="black", width=3)
    data = io.BytesIO()
    image.save(data, "JPEG")
    return data.getvalue()
