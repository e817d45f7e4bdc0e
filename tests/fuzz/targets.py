"""What must hold for any bytes: each target reads them as the service would, and raises nothing but what it foresees."""

import io

from inference.errors import ImageError
from inference.images import ImageLimits, open_document
from store.archives import ArchiveError, EntryError, Member, list_members, open_archive, read_member

MAX_ITEMS = 200
MAX_ITEM_BYTES = 1_000_000
LIMITS = ImageLimits(max_bytes=MAX_ITEM_BYTES, max_pixels=1_000_000, max_pages=20, pdf_dpi=36)
_PAGES_READ = 3


def read_zip(data: bytes) -> None:
    """Every entry that is not a folder is a member, with a name that can be shown; what is read is never more than allowed."""
    try:
        archive = open_archive(io.BytesIO(data), max_items=MAX_ITEMS)
    except ArchiveError:
        return
    entries = archive.infolist()
    members = list(list_members(archive, max_item_bytes=MAX_ITEM_BYTES))
    assert len(members) <= len(entries) <= MAX_ITEMS
    assert len({member.index for member in members}) == len(members)
    for member in members:
        _read_member(data, member)


def _read_member(data: bytes, member: Member) -> None:
    assert not any(ord(sign) < 32 or 0xD800 <= ord(sign) < 0xE000 for sign in member.name), repr(member.name)
    member.name.encode()
    if member.refusal:
        return
    archive = open_archive(io.BytesIO(data), max_items=MAX_ITEMS)
    try:
        content = read_member(archive, member.index, max_item_bytes=MAX_ITEM_BYTES)
    except EntryError:
        return
    assert len(content) <= MAX_ITEM_BYTES


def read_image(data: bytes) -> None:
    """Each page is an RGB image within the limits, or an `ImageError` of its own, in full size and in draft size."""
    for at_least in (None, (16, 8)):
        try:
            with open_document(data, LIMITS) as document:
                count = document.page_count
                assert 1 <= count <= LIMITS.max_pages
                for number in range(1, min(count, _PAGES_READ) + 1):
                    _read_page(data, number, at_least)
        except ImageError:
            continue


def _read_page(data: bytes, number: int, at_least: tuple[int, int] | None) -> None:
    with open_document(data, LIMITS) as document:
        try:
            page = document.page(number, at_least=at_least)
        except ImageError:
            return
    assert page.mode == "RGB"
    assert 0 < page.width * page.height <= LIMITS.max_pixels


TARGETS = {"zip": read_zip, "image": read_image}
