"""Files to begin with: one of each kind that the service reads, small, so that a mutation is likely to matter."""

import zipfile

import numpy as np
from PIL import Image

from tests.inference.documents import RAMP, encrypted_pdf, pdf, ramp, tiff, tiff_chain
from tests.pictures import claimed_png, encoded, png, zip_of
from tests.store import zips
from tests.store.zips import Entry, archive


def zip_seeds() -> list[bytes]:
    """Archives, well and ill."""
    ill = (
        Entry(flags=zips.ENCRYPTED_FLAG),
        Entry(attributes=zips.SYMLINK_ATTRIBUTES),
        Entry(method=zips.BZIP2),
        Entry(name=b"../a.png"),
        Entry(name="März.png".encode("cp437")),
        Entry(name=b"folder/", data=b""),
        Entry(name=b"b.png", extra=b"\1\0\x08\0" + bytes(8)),
    )
    return [
        zip_of({"a.png": png(size=(8, 8)), "folder/b.png": b"x"}, compression=zipfile.ZIP_DEFLATED),
        zip_of({f"{number}.png": b"" for number in range(20)}),
        archive(*ill),
        archive(Entry(data=bytes(100_000), method=zips.DEFLATED), prefix=b"MZ" + bytes(50)),
        zips.full_overlap_bomb(5, unpacked=1000),
        zips.quoted_overlap_bomb(5, unpacked=1000),
    ]


def image_seeds() -> list[bytes]:
    """Images and documents of every format and of many kinds."""
    grey = ramp()
    colour = grey.convert("RGB")
    return [
        *(encoded(colour, kind) for kind in ("JPEG", "PNG", "TIFF", "JPEG2000", "WEBP", "GIF", "BMP")),
        *(encoded(grey.convert(mode), "PNG") for mode in ("1", "L", "P", "LA", "RGBA")),
        encoded(Image.fromarray(RAMP.astype(np.uint16) * 257), "PNG"),
        encoded(colour.convert("CMYK"), "JPEG"),
        encoded(colour, "JPEG", progressive=True),
        encoded(grey.convert("1"), "TIFF", compression="group4"),
        *(encoded(colour, "TIFF", compression=name) for name in ("tiff_lzw", "jpeg", "tiff_adobe_deflate")),
        encoded(grey, "TIFF", save_all=True, append_images=[grey, grey]),
        encoded(grey, "GIF", save_all=True, append_images=[grey.rotate(180)]),
        tiff(RAMP.astype(np.float32), bits=32, sample_format=3),
        tiff_chain([14, 20, 8]),
        claimed_png(30_000, 30_000),
        pdf(),
        encrypted_pdf(),
    ]


SEEDS = {"zip": zip_seeds, "image": image_seeds}
