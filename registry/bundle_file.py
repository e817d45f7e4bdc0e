"""A bundle as one file, to take a model from one registry to another: a zip of its manifest and of the files that it names.

The same bundle always gives the same bytes. A file from elsewhere is not trusted: only the names that its manifest lists are
unpacked, all of them plain, within limits that are checked while reading and not only believed from the zip's directory.
"""

import os
import shutil
import zipfile
import zlib
from pathlib import Path
from typing import IO

from pydantic import ValidationError

from inference.bundle import MANIFEST_NAME, Bundle, Manifest, load_bundle
from inference.errors import BundleInvalid
from registry.errors import BundleFileInvalid

MAX_FILES = 16
MAX_MANIFEST_BYTES = 4 * 1024**2
MAX_BYTES = 1024**3
_EPOCH = (1980, 1, 1, 0, 0, 0)
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_ENCRYPTED = 0x1
_PIECE_BYTES = 1024**2


def write_bundle_file(bundle: Bundle, path: Path) -> None:
    """Write `bundle` to `path`, which appears only when it is complete. Nothing is compressed: weights hardly shrink."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with zipfile.ZipFile(draft, "w") as archive:
            for name in (MANIFEST_NAME, *sorted(bundle.manifest.files)):
                _add(archive, name, bundle.directory / name)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def read_bundle_file(path: Path, destination: Path) -> Bundle:
    """Unpack the bundle file at `path` into the new folder `destination`, and verify what it holds.

    Raises `BundleFileInvalid`, or a `BundleError` where its contents are not those that its manifest describes.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            entries = _entries(archive)
            manifest = _read_manifest(archive, entries)
            _refuse_other_names(entries, manifest)
            destination.mkdir()
            _unpack(archive, entries, destination)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise BundleFileInvalid(f"{path} is not a bundle file: {error}.") from error
    except BundleFileInvalid as error:
        raise BundleFileInvalid(f"{path} is not a bundle file: {error}") from error
    return load_bundle(destination)


def _add(archive: zipfile.ZipFile, name: str, source: Path) -> None:
    entry = zipfile.ZipInfo(name, date_time=_EPOCH)
    entry.create_system, entry.external_attr = 3, 0o644 << 16  # as on Unix, wherever it is written
    entry.file_size = source.stat().st_size
    with source.open("rb") as file, archive.open(entry, "w") as member:
        shutil.copyfileobj(file, member, _PIECE_BYTES)


def _entries(archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    """The entries by name: few, distinct, plain names, neither encrypted nor packed in an odd way."""
    listed = archive.infolist()
    if len(listed) > MAX_FILES:
        raise BundleFileInvalid(f"It has {len(listed)} entries; at most {MAX_FILES} are allowed.")
    for entry in listed:
        if not _is_plain(entry.filename):
            raise BundleFileInvalid(f"It names {entry.filename!r}, which is not a plain file name.")
        if entry.flag_bits & _ENCRYPTED or entry.compress_type not in _METHODS:
            raise BundleFileInvalid(f"{entry.filename} is encrypted or packed by an unknown method.")
    entries = {entry.filename: entry for entry in listed}
    if len(entries) != len(listed):
        raise BundleFileInvalid("It names a file twice.")
    return entries


def _is_plain(name: str) -> bool:
    return name not in ("", ".", "..") and Path(name).name == name and "\\" not in name


def _read_manifest(archive: zipfile.ZipFile, entries: dict[str, zipfile.ZipInfo]) -> Manifest:
    if MANIFEST_NAME not in entries:
        raise BundleFileInvalid(f"It has no {MANIFEST_NAME}.")
    with archive.open(entries[MANIFEST_NAME]) as member:
        data = member.read(MAX_MANIFEST_BYTES + 1)
    if len(data) > MAX_MANIFEST_BYTES:
        raise BundleFileInvalid(f"Its {MANIFEST_NAME} has more than {MAX_MANIFEST_BYTES} bytes.")
    try:
        return Manifest.model_validate_json(data)
    except ValidationError as error:
        raise BundleInvalid(f"Its {MANIFEST_NAME} is not valid: {error}.") from error


def _refuse_other_names(entries: dict[str, zipfile.ZipInfo], manifest: Manifest) -> None:
    others = sorted(set(entries) ^ {MANIFEST_NAME, *manifest.files})
    if others:
        raise BundleFileInvalid(f"Its manifest and its contents differ in {', '.join(map(repr, others))}.")


def _unpack(archive: zipfile.ZipFile, entries: dict[str, zipfile.ZipInfo], destination: Path) -> None:
    left = MAX_BYTES
    for name, entry in entries.items():
        with archive.open(entry) as member, (destination / name).open("xb") as file:
            left -= _copy(member, file, left)


def _copy(source: IO[bytes], destination: IO[bytes], most: int) -> int:
    """Copy up to the end of `source`; returns how many bytes. Raises `BundleFileInvalid` beyond `most`."""
    copied = 0
    while piece := source.read(_PIECE_BYTES):
        copied += len(piece)
        if copied > most:
            raise BundleFileInvalid(f"Unpacked, it has more than {MAX_BYTES} bytes.")
        destination.write(piece)
    return copied
