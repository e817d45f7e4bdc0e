"""Read zip archives of unknown origin: nothing is extracted to a path, and one bad entry spoils only itself.

Each entry of the directory becomes a `Member`; one that must not be read carries the `Refusal` that says why.
"""

import re
import stat
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import BinaryIO

_METHODS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA}
_ARCHIVE_ENDINGS = {".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar", ".cbz", ".cbr"}
_SYSTEM_FILES = {"thumbs.db", "desktop.ini"}
_SYSTEM_FOLDER = "__MACOSX"
_UTF8_FLAG = 0x800
_ENCRYPTED_FLAG = 0x1
_LOCAL_HEADER_BYTES = 30
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


class ArchiveError(Exception):
    """The archive cannot be read."""

    reason = "broken_archive"


class TooManyItems(ArchiveError):
    """The archive has more entries than one job may have items."""

    reason = "too_many_items"


class EntryError(ArchiveError):
    """The entry cannot be unpacked."""

    reason = "broken_entry"


class EntryTooLarge(EntryError):
    """The entry has more bytes, unpacked, than allowed for one item."""

    reason = "file_too_large"


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why an entry is not read. `is_junk` marks what was no scan to begin with."""

    reason: str
    detail: str
    is_junk: bool = False


@dataclass(frozen=True, slots=True)
class Member:
    """One entry: its place in the directory, its name as shown, and the refusal if it must not be read."""

    index: int
    name: str
    refusal: Refusal | None


def open_archive(file: BinaryIO, *, max_items: int) -> zipfile.ZipFile:
    """Read the directory of a zip. Raises `ArchiveError`."""
    try:
        archive = zipfile.ZipFile(file)
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise ArchiveError(f"The file is not a readable zip archive: {error}.") from error
    count = len(archive.infolist())
    if count > max_items:
        raise TooManyItems(f"The archive has {count} entries; at most {max_items} are allowed.")
    return archive


def list_members(archive: zipfile.ZipFile, *, max_item_bytes: int) -> Iterator[Member]:
    """Every entry that is not a folder, in the order of the directory."""
    overlapping = _overlapping_entries(archive)
    for index, info in enumerate(archive.infolist()):
        if info.is_dir():
            continue
        name = entry_name(info)
        refusal = _refuse(info, name, max_item_bytes)
        if refusal is None and index in overlapping:
            refusal = Refusal("overlapping_entry", "The entry shares bytes with another one, as zip bombs do.")
        yield Member(index, display_name(name), refusal)


def read_member(archive: zipfile.ZipFile, index: int, *, max_item_bytes: int) -> bytes:
    """Unpack one entry into memory. Raises `EntryError` when it is damaged, `EntryTooLarge` when it is larger than it says."""
    info = archive.infolist()[index]
    try:
        with archive.open(info) as entry:
            data = entry.read(max_item_bytes + 1)
    except Exception as error:  # zipfile and its decompressors raise a dozen kinds on damaged data
        raise EntryError(f"The entry cannot be unpacked: {error}.") from error
    if len(data) > max_item_bytes:
        raise EntryTooLarge(f"The entry has more than the {max_item_bytes} bytes allowed.")
    return data


def entry_name(info: zipfile.ZipInfo) -> str:
    """The name as its writer meant it: UTF-8 where flagged or valid, else code page 437 as the format says."""
    if info.flag_bits & _UTF8_FLAG:
        return info.orig_filename
    try:
        return info.orig_filename.encode("cp437").decode("utf-8")
    except UnicodeError:
        return info.orig_filename


def display_name(name: str) -> str:
    """A name that can be stored and shown: control characters and text-direction marks are replaced."""
    return _UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", name)


def _refuse(info: zipfile.ZipInfo, name: str, max_item_bytes: int) -> Refusal | None:
    path = PurePosixPath(name.replace("\\", "/"))
    if _is_system_file(path):
        return Refusal("system_file", "The entry belongs to an operating system, not to the scans.", is_junk=True)
    if path.is_absolute() or ".." in path.parts or re.match(r"[A-Za-z]:", name) or "\x00" in name:
        return Refusal("unsafe_name", "The entry's name points outside the archive.")
    if stat.S_ISLNK(info.external_attr >> 16):
        return Refusal("symlink", "The entry is a symbolic link, not a file.")
    if info.flag_bits & _ENCRYPTED_FLAG:
        return Refusal("encrypted_entry", "The entry is encrypted.")
    if info.compress_type not in _METHODS:
        return Refusal("unknown_compression", "The entry is compressed with a method other than deflate, bzip2 or LZMA.")
    if path.suffix.lower() in _ARCHIVE_ENDINGS:
        return Refusal("nested_archive", "The entry is an archive itself; send it as an upload of its own.")
    if info.file_size > max_item_bytes:
        return Refusal("file_too_large", f"The entry has {info.file_size} bytes; at most {max_item_bytes} are allowed.")
    return None


def _is_system_file(path: PurePosixPath) -> bool:
    return _SYSTEM_FOLDER in path.parts or path.name.startswith(".") or path.name.lower() in _SYSTEM_FILES


def _overlapping_entries(archive: zipfile.ZipFile) -> set[int]:
    """Entries that begin before the one before them ends; Python's zipfile reads them without complaint."""
    infos = archive.infolist()
    overlapping: set[int] = set()
    furthest, owner = 0, -1
    for index in sorted(range(len(infos)), key=lambda i: infos[i].header_offset):
        info = infos[index]
        if info.header_offset < furthest:
            overlapping |= {index, owner}
        end = info.header_offset + _LOCAL_HEADER_BYTES + len(info.orig_filename) + info.compress_size
        if end > furthest:
            furthest, owner = end, index
    return overlapping
