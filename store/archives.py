"""Read zip archives of unknown origin: nothing is extracted to a path, and one bad entry spoils only itself.

Each entry of the directory becomes a `Member`; one that must not be read carries the `Refusal` that says why.
"""

import re
import stat
import struct
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import BinaryIO

from store.blobs import BlobError
from store.overlaid import overlaid

# Of the other methods zipfile unpacks a whole read at once, without bound: 50 bytes of bzip2 make 45 MB.
_METHODS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}
_ARCHIVE_ENDINGS = {".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar", ".cbz", ".cbr"}
_SYSTEM_FILES = {"thumbs.db", "desktop.ini"}
_SYSTEM_FOLDER = "__MACOSX"
_UTF8_FLAG = 0x800
_ENCRYPTED_FLAG = 0x1
_LOCAL_HEADER_BYTES = 30
_FLAGS_AT = 8
_MAX_DIRECTORY_BYTES = 128 * 1024**2
_DIRECTORY_ENTRY = struct.Struct("<28x3H12x")  # lengths of name, extra field and comment
_END_RECORDS_64_BYTES = 76
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


class ArchiveError(Exception):
    """The archive cannot be read."""

    reason = "broken_archive"

    def __init__(self, detail: str | None = None) -> None:
        super().__init__(detail or type(self).__doc__)


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
        count, mended = _survey(file, at_most=max_items + 1)
        if count > max_items:
            raise TooManyItems(f"The archive has more than the {max_items} entries allowed.")
        return zipfile.ZipFile(mended)
    except (ArchiveError, BlobError):
        raise
    except Exception as error:  # zipfile raises half a dozen kinds on a damaged directory
        raise ArchiveError(f"The file is not a readable zip archive: {error}.") from error


def _survey(file: BinaryIO, *, at_most: int) -> tuple[int, BinaryIO]:
    """Entries in the directory, counted before zipfile reads it: that takes 660 bytes of memory for each. And the file, whose
    directory no longer says of a name that it is UTF-8 when it is not: zipfile would give up the whole archive for it.
    """
    end = zipfile._EndRecData(file)  # type: ignore[attr-defined]  # private, but the same in every Python that we support
    if end is None:
        return 0, file  # zipfile says what is wrong
    size, after = end[zipfile._ECD_SIZE], end[zipfile._ECD_LOCATION]  # type: ignore[attr-defined]  # private, as above
    if end[zipfile._ECD_SIGNATURE] == zipfile.stringEndArchive64:  # type: ignore[attr-defined]  # private, as above
        after -= _END_RECORDS_64_BYTES
    if size > min(after, _MAX_DIRECTORY_BYTES):
        raise ArchiveError(f"The archive's directory claims {size} bytes; at most {_MAX_DIRECTORY_BYTES} are read.")
    file.seek(after - size)
    directory = bytearray(file.read(size))
    count = place = lies = 0
    while count < at_most and place + _DIRECTORY_ENTRY.size <= size:
        lies += _unflag_if_not_utf8(directory, place)
        place += _DIRECTORY_ENTRY.size + sum(_DIRECTORY_ENTRY.unpack_from(directory, place))
        count += 1
    return count, overlaid(file, after - size, bytes(directory)) if lies else file


def _unflag_if_not_utf8(directory: bytearray, place: int) -> bool:
    """Take the flag from the entry whose record begins at `place`, if its name is not what the flag says."""
    flags = int.from_bytes(directory[place + _FLAGS_AT : place + _FLAGS_AT + 2], "little")
    if not flags & _UTF8_FLAG:
        return False
    start = place + _DIRECTORY_ENTRY.size
    if _is_utf8(directory[start : start + _DIRECTORY_ENTRY.unpack_from(directory, place)[0]]):
        return False
    directory[place + _FLAGS_AT : place + _FLAGS_AT + 2] = (flags & ~_UTF8_FLAG).to_bytes(2, "little")
    return True


def _is_utf8(name: bytes | bytearray) -> bool:
    try:
        name.decode()
    except UnicodeDecodeError:
        return False
    return True


def list_members(archive: zipfile.ZipFile, *, max_item_bytes: int) -> Iterator[Member]:
    """Every entry that is not a folder, in the order of the directory."""
    overlapping = _overlapping_entries(archive)
    for index, info in enumerate(archive.infolist()):
        name = entry_name(info)
        if name.endswith("/"):
            continue
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
    except BlobError:
        raise  # the entry may be well; it is the store that does not answer
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
        return Refusal("unknown_compression", "The entry is compressed with a method other than deflate.")
    if path.suffix.lower() in _ARCHIVE_ENDINGS:
        return Refusal("nested_archive", "The entry is an archive itself; send it as an upload of its own.")
    if info.file_size > max_item_bytes:
        return Refusal("file_too_large", f"The entry has {info.file_size} bytes; at most {max_item_bytes} are allowed.")
    return None


def _is_system_file(path: PurePosixPath) -> bool:
    return _SYSTEM_FOLDER in path.parts or path.name.startswith(".") or path.name.lower() in _SYSTEM_FILES


def _overlapping_entries(archive: zipfile.ZipFile) -> set[int]:
    """Entries that begin before the one before them ends, or before the file does; zipfile reads them without complaint."""
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
