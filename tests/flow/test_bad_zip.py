"""A thousand good images and one of each bad kind in a zip: each bad one ends with its own reason and touches nothing else."""

import io
import json
import stat
import zipfile
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from tests.pictures import DARK, LIGHT, claimed_png, encoded, picture, png, zip_of

GOOD = 1000
Read = Callable[[bytes], tuple[dict[str, Any], list[dict[str, Any]]]]


def sixteen_bit() -> bytes:
    return encoded(Image.fromarray(np.full((40, 120), LIGHT * 257, dtype=np.uint16)), "TIFF")


GOOD_ODD = {
    "odd/16-bit.tif": (sixteen_bit(), "printed"),
    "odd/cmyk.jpg": (encoded(picture(LIGHT).convert("CMYK"), "JPEG"), "printed"),
    "odd/1-bit.tif": (encoded(picture(255).convert("1"), "TIFF", compression="group4"), "printed"),
    "odd/umlaut-ä-é.png": (png(LIGHT), "printed"),
}
BAD = {
    "bad/truncated.jpg": (encoded(picture(size=(400, 400)), "JPEG")[:700], "failed", "truncated_image"),
    "bad/not-an-image.jpg": (b"Dear Sir, this is a letter.", "failed", "not_an_image"),
    "bad/empty.jpg": (b"", "failed", "empty_file"),
    "bad/bomb.png": (claimed_png(40_000, 40_000), "failed", "too_many_pixels"),
    "bad/nested.zip": (zip_of({"x.png": png()}), "failed", "nested_archive"),
    "bad/nested-in-disguise.png": (zip_of({"x.png": png()}), "failed", "nested_archive"),
    "../../outside.png": (png(), "failed", "unsafe_name"),
    "__MACOSX/._a.png": (b"\0\5\26\7", "skipped", "system_file"),
    "bad/Thumbs.db": (b"\xd0\xcf", "skipped", "system_file"),
}
ENCRYPTED, SYMLINK, LATIN = "bad/encrypted.png", "bad/symlink.png", "odd/no-utf8-\xe9.png"


def bad_zip() -> bytes:
    """Entries of every kind, spread among the good ones."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for number in range(GOOD):
            archive.writestr(f"good/{number:04d}.png", png(DARK if number % 2 else LIGHT))
            if number == GOOD // 2:
                write_odd_entries(archive)
    return encrypt(file.getvalue(), ENCRYPTED.encode())


def write_odd_entries(archive: zipfile.ZipFile) -> None:
    for name, (data, *_) in {**GOOD_ODD, **BAD}.items():
        archive.writestr(name, data)
    archive.writestr(ENCRYPTED, png())
    link = zipfile.ZipInfo(SYMLINK)
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    archive.writestr(link, "/etc/passwd")
    archive.writestr(UnflaggedName(LATIN), png(LIGHT))


class UnflaggedName(zipfile.ZipInfo):
    """A name in code page 437, as old programs write it: no UTF-8, and no flag."""

    def _encodeFilenameFlags(self) -> tuple[bytes, int]:  # noqa: N802  zipfile's own name
        return self.filename.encode("cp437"), self.flag_bits


def encrypt(data: bytes, name: bytes) -> bytes:
    """Set the encryption flag of one entry, in its own header and in the directory."""
    patched = bytearray(data)
    for signature, flags_at, name_at in ((b"PK\x03\x04", 6, 30), (b"PK\x01\x02", 8, 46)):
        start = data.find(signature)
        while start >= 0 and data[start + name_at : start + name_at + len(name)] != name:
            start = data.find(signature, start + 4)
        patched[start + flags_at] |= 1
    return bytes(patched)


@pytest.fixture
def read(client: TestClient, work: Callable[[str], None]) -> Read:
    """Submit a zip, do the work, give the job and all its results."""

    def read(data: bytes) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        submitted = client.post("/jobs", content=data, headers={"Content-Type": "application/zip"}).json()
        work(submitted["id"])
        lines = client.get(submitted["links"]["results_ndjson"]).text.splitlines()
        return client.get(submitted["links"]["self"]).json(), [json.loads(line) for line in lines]

    return read


def test_each_bad_entry_has_its_own_reason_and_nothing_else_is_touched(read: Read) -> None:
    _, results = read(bad_zip())
    by_file = {item["file"]: item for item in results}
    assert len(by_file) == len(results)

    good = [by_file[f"good/{number:04d}.png"] for number in range(GOOD)]
    assert [item["predicted_class"] for item in good] == ["printed", "handwritten"] * (GOOD // 2)
    for name, (_, expected) in GOOD_ODD.items():
        assert (by_file[name]["status"], by_file[name]["predicted_class"]) == ("succeeded", expected), by_file[name]
    assert by_file[LATIN]["predicted_class"] == "printed"

    for name, (_, status, reason) in BAD.items():
        assert (by_file[name]["status"], by_file[name]["reason"]) == (status, reason), by_file[name]
        assert by_file[name]["detail"].endswith(".")
    assert by_file[ENCRYPTED]["reason"] == "encrypted_entry"
    assert by_file[SYMLINK]["reason"] == "symlink"


def test_the_job_s_counts_equal_its_rows(read: Read) -> None:
    job, results = read(bad_zip())
    rows = Counter(item["status"] for item in results)
    counts = job["counts"]
    assert counts["total"] == counts["processed"] == len(results)
    assert {status: counts[status] for status in rows} == rows
    assert rows["succeeded"] == GOOD + len(GOOD_ODD) + 1
    assert job["state"] == "completed"
