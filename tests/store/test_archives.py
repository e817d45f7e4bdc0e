import io
import zipfile

import pytest

from store import archives
from store.archives import ArchiveError, EntryError, EntryTooLarge, Member, list_members, open_archive, read_member
from tests.pictures import png, zip_of
from tests.store import zips
from tests.store.zips import Entry, archive

MAX_BYTES = 1_000_000


def opened(data: bytes, *, max_items: int = 100) -> zipfile.ZipFile:
    return open_archive(io.BytesIO(data), max_items=max_items)


def members(data: bytes) -> list[Member]:
    return list(list_members(opened(data), max_item_bytes=MAX_BYTES))


def reason(entry: Entry) -> str | None:
    [member] = members(archive(entry))
    return member.refusal.reason if member.refusal else None


def read(data: bytes, index: int = 0, *, max_item_bytes: int = MAX_BYTES) -> bytes:
    return read_member(opened(data), index, max_item_bytes=max_item_bytes)


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_entries_are_read_in_the_order_of_the_directory(compression: int) -> None:
    data = zip_of({"b.png": b"second", "folder/a.png": b"first"}, compression=compression)
    assert [(m.index, m.name, m.refusal) for m in members(data)] == [(0, "b.png", None), (1, "folder/a.png", None)]
    assert [read(data, 0), read(data, 1)] == [b"second", b"first"]


@pytest.mark.parametrize(
    ("expected", "entry"),
    [
        (None, Entry()),
        ("encrypted_entry", Entry(flags=zips.ENCRYPTED_FLAG)),
        ("symlink", Entry(attributes=zips.SYMLINK_ATTRIBUTES)),
        ("unknown_compression", Entry(method=99)),
        ("unknown_compression", Entry(method=zips.BZIP2)),
        ("unknown_compression", Entry(method=zips.LZMA)),
        ("nested_archive", Entry(name=b"inner.ZIP")),
        ("nested_archive", Entry(name=b"folder/inner.tar.gz")),
        ("file_too_large", Entry(claimed_size=MAX_BYTES + 1)),
        ("unsafe_name", Entry(name=b"../a.png")),
        ("unsafe_name", Entry(name=b"folder/../../a.png")),
        ("unsafe_name", Entry(name=b"/etc/a.png")),
        ("unsafe_name", Entry(name=b"..\\a.png")),
        ("unsafe_name", Entry(name=b"\\\\server\\a.png")),
        ("unsafe_name", Entry(name=b"C:\\a.png")),
        ("unsafe_name", Entry(name=b"c:a.png")),
        ("unsafe_name", Entry(name=b"a.png\0.txt")),
        ("unsafe_name", Entry(name=b"\0")),
        (None, Entry(name=b"letters..1748/a..png")),
        ("system_file", Entry(name=b"__MACOSX/._a.png")),
        ("system_file", Entry(name=b"scans/.DS_Store")),
        ("system_file", Entry(name=b"scans/Thumbs.db")),
        ("system_file", Entry(name=b"DESKTOP.INI")),
    ],
)
def test_each_entry_is_refused_for_its_own_reason(expected: str | None, entry: Entry) -> None:
    assert reason(entry) == expected


def test_an_entry_that_begins_before_the_file_is_refused() -> None:
    data = bytearray(archive(Entry()))
    data[-6:-2] = (len(data) + 7).to_bytes(4, "little")  # the directory's place in the end record, which shifts every entry
    [member] = members(bytes(data))
    assert member.refusal
    assert member.refusal.reason == "overlapping_entry"


def test_only_what_was_no_scan_is_junk() -> None:
    data = archive(Entry(name=b"Thumbs.db"), Entry(name=b"inner.zip"), Entry())
    assert [m.refusal.is_junk if m.refusal else None for m in members(data)] == [True, False, None]


def test_one_bad_entry_spoils_only_itself() -> None:
    data = archive(
        Entry(name=b"a.png", crc=1), Entry(name=b"b.png", flags=zips.ENCRYPTED_FLAG), Entry(name=b"c.png", data=b"good")
    )
    with pytest.raises(EntryError):
        read(data, 0)
    with pytest.raises(EntryError):
        read(data, 1)
    assert read(data, 2) == b"good"


def test_a_name_that_claims_to_be_utf8_and_is_not_spoils_only_its_entry() -> None:
    data = archive(Entry(name="März.png".encode("cp437"), flags=zips.UTF8_FLAG, data=b"1"), Entry(name=b"b.png", data=b"2"))
    assert [(m.name, m.refusal) for m in members(data)] == [("März.png", None), ("b.png", None)]
    assert read(data, 1) == b"2"
    with pytest.raises(EntryError):  # its own header still claims it
        read(data, 0)


def test_folders_are_no_items_and_a_name_of_nothing_is_one() -> None:
    data = archive(Entry(name=b"folder/", data=b""), Entry(name=b"folder/a.png"), Entry(name=b""))
    assert [(m.index, m.name) for m in members(data)] == [(1, "folder/a.png"), (2, "")]


@pytest.mark.parametrize(
    ("name", "flags", "shown"),
    [
        ("Brief März.png".encode(), zips.UTF8_FLAG, "Brief März.png"),
        ("Brief März.png".encode(), 0, "Brief März.png"),
        ("Brief März.png".encode("cp437"), 0, "Brief März.png"),
        ("письмо.png".encode(), 0, "письмо.png"),
        (b"a\nb\x7f\x1b[31m.png", 0, "a�b��[31m.png"),
        ("gnp.\u202eexe.png".encode(), zips.UTF8_FLAG, "gnp.�exe.png"),
        ("a\u2028b\u0085c\u061cd.png".encode(), zips.UTF8_FLAG, "a�b�c�d.png"),
    ],
)
def test_names_are_shown_as_their_writer_meant_them(name: bytes, flags: int, shown: str) -> None:
    [member] = members(archive(Entry(name=name, flags=flags)))
    assert member.name == shown


@pytest.mark.parametrize("bomb", [zips.full_overlap_bomb, zips.quoted_overlap_bomb])
def test_an_overlap_bomb_is_refused_entry_by_entry(bomb: object) -> None:
    assert callable(bomb)
    data = bomb(50, unpacked=100_000)
    assert len(data) < 20_000
    assert opened(data).infolist()[0].file_size >= 100_000
    assert {m.refusal.reason if m.refusal else None for m in members(data)} == {"overlapping_entry"}


def test_the_overlap_bomb_is_real() -> None:
    """Python's zipfile, which does not look, unpacks every one of its entries."""
    data = zips.quoted_overlap_bomb(5, unpacked=1000)
    with zipfile.ZipFile(io.BytesIO(data)) as file:
        assert [len(file.read(info)) >= 1000 for info in file.infolist()] == [True] * 5


def test_entries_with_data_descriptors_do_not_overlap() -> None:
    class Unseekable(io.BytesIO):
        def seekable(self) -> bool:
            return False

        def seek(self, *_: object) -> int:
            raise OSError

        def tell(self) -> int:
            raise OSError

    file = Unseekable()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as written:
        for number in range(5):
            written.writestr(f"{number}.png", bytes(number))
    data = file.getvalue()
    assert opened(data).infolist()[0].flag_bits & zips.DESCRIPTOR_FLAG
    assert [m.refusal for m in members(data)] == [None] * 5
    assert read(data, 4) == bytes(4)


def test_a_zip64_archive_is_read() -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as written, written.open("a.png", "w", force_zip64=True) as entry:
        entry.write(b"sixty-four")
    assert [m.refusal for m in members(file.getvalue())] == [None]
    assert read(file.getvalue()) == b"sixty-four"


def test_more_than_65535_entries_are_read() -> None:
    data = zip_of({f"{number}.png": b"" for number in range(65_600)})  # needs the 64-bit end record
    assert len(list(list_members(opened(data, max_items=70_000), max_item_bytes=MAX_BYTES))) == 65_600
    with pytest.raises(archives.TooManyItems):
        opened(data, max_items=65_599)


@pytest.mark.parametrize("tool", ["shifted", "counted"])
def test_an_archive_behind_a_program_is_read(tool: str) -> None:
    program = b"MZ" + bytes(5000)
    data = archive(Entry(data=b"inside"), prefix=program)
    if tool == "counted":  # its offsets count the program
        file = io.BytesIO(program)
        file.seek(0, io.SEEK_END)
        with zipfile.ZipFile(file, "a") as written:
            written.writestr("a.png", b"inside")
        data = file.getvalue()
    assert [m.refusal for m in members(data)] == [None]
    assert read(data) == b"inside"


def test_an_entry_larger_than_it_says_is_damaged() -> None:
    for method in (zips.STORED, zips.DEFLATED):
        with pytest.raises(EntryError):
            read(archive(Entry(data=bytes(5000), method=method, claimed_size=100)))


def test_an_entry_larger_than_allowed_is_not_unpacked_further() -> None:
    data = archive(Entry(data=bytes(5_000_000), method=zips.DEFLATED))
    with pytest.raises(EntryTooLarge):
        read(data, max_item_bytes=1000)
    assert len(read(data, max_item_bytes=5_000_000)) == 5_000_000


def test_a_cut_entry_is_damaged() -> None:
    whole = Entry(data=png() * 50, method=zips.DEFLATED)
    cut = Entry(data=whole.data, method=zips.DEFLATED, packed=whole.body()[:-20])
    with pytest.raises(EntryError):
        read(archive(cut))


def test_the_limit_on_entries_is_exact() -> None:
    data = archive(*(Entry(name=b"%d.png" % number) for number in range(5)))
    assert len(members(data)) == 5
    assert len(opened(data, max_items=5).infolist()) == 5
    with pytest.raises(archives.TooManyItems, match="more than the 4"):
        opened(data, max_items=4)


def test_a_directory_that_understates_its_entries_is_counted_before_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    data = archive(*(Entry(name=b"%d.png" % number) for number in range(50)), declared_entries=1)
    monkeypatch.setattr(zipfile, "ZipFile", lambda _: pytest.fail("zipfile read the whole directory"))
    with pytest.raises(archives.TooManyItems):
        opened(data, max_items=49)


def test_a_directory_that_claims_gigabytes_is_not_read() -> None:
    with pytest.raises(ArchiveError, match="claims 4000000000 bytes"):
        opened(archive(Entry(), declared_size=4_000_000_000))


@pytest.mark.parametrize("data", [b"", b"no zip", zip_of({"a.png": b"1"})[:-10], b"PK\x05\x06" + bytes(17)])
def test_what_is_no_archive_is_refused(data: bytes) -> None:
    with pytest.raises(ArchiveError):
        opened(data)


def test_an_empty_archive_has_no_members() -> None:
    assert members(zip_of({})) == []


def test_a_directory_damaged_anywhere_ends_as_an_archive_error_or_in_members() -> None:
    data = archive(Entry(name=b"a.png"), Entry(name=b"b.png", extra=b"\1\0\x08\0" + bytes(8)), Entry(name=b"c.png"))
    start = data.index(b"PK\x01\x02")
    for place in range(start, len(data)):
        for value in (0x00, 0x7F, 0xFF):
            damaged = data[:place] + bytes([value]) + data[place + 1 :]
            try:
                for member in members(damaged):
                    if member.refusal is None:
                        read(damaged, member.index)
            except ArchiveError:
                continue


@pytest.mark.parametrize("kind", [ArchiveError, archives.TooManyItems, EntryError, EntryTooLarge])
def test_an_error_raised_without_words_says_what_is_wrong(kind: type[ArchiveError]) -> None:
    assert str(kind()) == kind.__doc__
