"""Whatever a name is, it is shown and never used as a path; whatever a zip holds, each entry that is no folder is one item."""

import csv
import io
import json
from pathlib import PurePosixPath

from hypothesis import example, given, settings
from hypothesis import strategies as st

from api.uploads import clean_name
from store.archives import EntryError, list_members, open_archive, read_member
from store.blobs import new_key
from tests.store import zips
from tests.store.zips import Entry, archive

MAX_BYTES = 10_000
NAMES = st.one_of(st.binary(max_size=60), st.text(max_size=30).map(lambda text: text.encode("utf-8", "surrogatepass")))
ENTRIES = st.builds(
    Entry,
    name=NAMES,
    data=st.binary(max_size=200),
    flags=st.sampled_from([0, zips.UTF8_FLAG, zips.ENCRYPTED_FLAG]),
    method=st.sampled_from([zips.STORED, zips.DEFLATED, zips.BZIP2, 99]),
    attributes=st.sampled_from([0, zips.SYMLINK_ATTRIBUTES]),
    claimed_size=st.sampled_from([None, 0, MAX_BYTES + 1]),
    crc=st.sampled_from([None, 1]),
)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.text(max_size=600))
@example("../../etc/passwd")
@example("C:\\..\\..\\boot.ini")
@example("\x00\u202egnp.exe")
@example("...")
@example("\ud800")
def test_a_clients_file_name_is_a_name_and_nothing_else(name: str) -> None:
    shown = clean_name(name)
    assert shown
    assert len(shown) <= 500
    assert "/" not in shown
    assert "\\" not in shown
    assert_shows(shown)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.lists(ENTRIES, max_size=8))
def test_n_entries_are_n_items_each_read_or_refused(entries: list[Entry]) -> None:
    opened = open_archive(io.BytesIO(archive(*entries)), max_items=8)
    members = list(list_members(opened, max_item_bytes=MAX_BYTES))
    assert len(opened.infolist()) == len(entries)
    folders = [index for index, info in enumerate(opened.infolist()) if info.orig_filename.endswith("/")]
    assert [member.index for member in members] == [index for index in range(len(entries)) if index not in folders]
    for member in members:
        assert_shows(member.name)
        if member.refusal is None:
            path = PurePosixPath(member.name.replace("\\", "/"))
            assert not path.is_absolute()
            assert ".." not in path.parts
            try:
                assert read_member(opened, member.index, max_item_bytes=MAX_BYTES) == entries[member.index].data
            except EntryError:
                continue


def assert_shows(name: str) -> None:
    """It goes through UTF-8, JSON, CSV and Postgres as it is, on one line."""
    assert "\0" not in name
    assert name.splitlines() in ([name], [])
    assert name.encode().decode() == name
    assert json.loads(json.dumps(name)) == name
    file = io.StringIO()
    csv.writer(file).writerow([name, "x"])
    assert next(csv.reader(io.StringIO(file.getvalue()))) == [name, "x"]


def test_a_key_has_nothing_of_the_client() -> None:
    assert all(part.isalnum() for part in new_key().split("/"))
