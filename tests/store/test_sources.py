import uuid
from pathlib import Path

import pytest

from store.archives import ArchiveError, EntryTooLarge, TooManyItems
from store.blobs import BlobMissing, Blobs, BlobsUnavailable
from store.models import Upload
from store.sources import Sources
from tests.pictures import zip_of


@pytest.fixture
def blobs(tmp_path: Path) -> Blobs:
    return Blobs(tmp_path.as_uri())


@pytest.fixture
def sources(blobs: Blobs) -> Sources:
    return Sources(blobs, max_items=3, max_item_bytes=1000)


def upload(blobs: Blobs, data: bytes, *, is_archive: bool = True) -> Upload:
    key = uuid.uuid4().hex
    blobs.write(key, data)
    return Upload(id=uuid.uuid4(), name="u", is_archive=is_archive, blob_key=key, size_bytes=len(data))


def test_items_are_read_from_archives_and_alone(blobs: Blobs, sources: Sources) -> None:
    archive = upload(blobs, zip_of({"a.png": b"first", "b.png": b"second"}))
    single = upload(blobs, b"alone", is_archive=False)
    assert [sources.read(archive, 1), sources.read(single, None), sources.read(archive, 0)] == [b"second", b"alone", b"first"]


def test_the_last_archive_stays_open(blobs: Blobs, sources: Sources) -> None:
    first, second = upload(blobs, zip_of({"a.png": b"1"})), upload(blobs, zip_of({"a.png": b"2"}))
    opened = sources.archive(first)
    assert sources.archive(first) is opened
    assert sources.read(second, 0) == b"2"
    assert opened.fp is None
    sources.close()


def test_an_item_that_is_too_large_is_not_read(blobs: Blobs, sources: Sources) -> None:
    with pytest.raises(EntryTooLarge):
        sources.read(upload(blobs, bytes(1001), is_archive=False), None)
    with pytest.raises(EntryTooLarge):
        sources.read(upload(blobs, zip_of({"a.png": bytes(1001)})), 0)


def test_an_archive_that_cannot_be_opened_leaves_the_next_readable(blobs: Blobs, sources: Sources) -> None:
    with pytest.raises(ArchiveError):
        sources.archive(upload(blobs, b"no zip"))
    with pytest.raises(TooManyItems):
        sources.archive(upload(blobs, zip_of({f"{number}.png": b"" for number in range(4)})))
    assert sources.read(upload(blobs, zip_of({"a.png": b"1"})), 0) == b"1"


def test_a_lost_upload_says_so(blobs: Blobs, sources: Sources) -> None:
    gone = upload(blobs, zip_of({"a.png": b"1"}))
    blobs.delete(gone.blob_key)
    with pytest.raises(BlobMissing):
        sources.read(gone, 0)


def test_a_store_that_fails_is_not_taken_for_a_damaged_archive(
    blobs: Blobs, sources: Sources, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = upload(blobs, zip_of({"a.png": b"1" * 900, "b.png": b"2"}))
    real = blobs.open(archive.blob_key)
    monkeypatch.setattr(blobs, "open", lambda _: real)
    sources.archive(archive)
    raw = real.raw  # type: ignore[attr-defined]  # the buffered file over the store's own
    real.seek(0)
    monkeypatch.setattr(raw._file, "read", lambda _: (_ for _ in ()).throw(ConnectionError("gone")))
    real.seek(0, 2)
    with pytest.raises(BlobsUnavailable):
        sources.read(archive, 0)
    assert real.closed
    monkeypatch.undo()
    assert sources.read(archive, 1) == b"2"  # through another connection
