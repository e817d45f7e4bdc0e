"""Turn a page upright as its EXIF says. Metadata that cannot be read leaves the page as it lies: it never costs the page."""

from PIL import ExifTags, Image

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
SIDEWAYS = frozenset(_TURNS[orientation] for orientation in (5, 6, 7, 8))


def turn_needed(image: Image.Image) -> Image.Transpose | None:
    """How to turn `image`. Ask again once it is loaded: PNG may keep EXIF behind its pixels, and a TIFF is turned then."""
    try:
        return _TURNS.get(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # what parses EXIF and XMP raises whatever it likes on hostile data
        return None
