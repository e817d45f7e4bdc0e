"""Small pictures for tests: dark ones are handwritten for the tiny model, light ones printed, grey ones doubtful."""

import io
import struct
import zipfile
import zlib
from typing import Any

from PIL import Image

DARK, LIGHT, GREY = 30, 225, 128
RIBBON = (20, 200)
"""A size that is strange to the tiny model."""


def picture(level: int = DARK, *, size: tuple[int, int] = (120, 40)) -> Image.Image:
    """A plain page of one grey level."""
    return Image.new("RGB", size, (level, level, level))


def encoded(image: Image.Image, image_format: str = "PNG", **options: Any) -> bytes:
    """The image as a file's bytes."""
    file = io.BytesIO()
    image.save(file, image_format, **options)
    return file.getvalue()


def png(level: int = DARK, *, size: tuple[int, int] = (120, 40)) -> bytes:
    """A plain page as PNG."""
    return encoded(picture(level, size=size))


def zip_of(entries: dict[str, bytes], *, compression: int = zipfile.ZIP_STORED) -> bytes:
    """A zip with these entries."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        for name, data in entries.items():
            archive.writestr(name, data)
    return file.getvalue()


def claimed_png(width: int, height: int) -> bytes:
    """A few bytes that claim to be a 1-bit PNG of any size: the header of a decompression bomb."""
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    chunks = (_png_chunk(b"IHDR", header), _png_chunk(b"IDAT", zlib.compress(b"")), _png_chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def _png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
