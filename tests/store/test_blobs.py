import io
import os
import sys
import uuid
from pathlib import Path

import pytest
from fsspec.implementations.memory import MemoryFileSystem
from fsspec.spec import AbstractBufferedFile

from store import blobs as blobs_module
from store.blobs import BlobError, BlobMissing, Blobs, BlobsUnavailable, BlobsUnusable, new_key, require_driver


@pytest.fixture(params=["file", "memory"])
def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> Blobs:
    return Blobs(tmp_path.as_uri() if request.param == "file" else f"memory://{uuid.uuid4().hex}")


def write_half(blobs: Blobs, key: str, raised: BaseException) -> None:
    with blobs.writer(key) as file:
        file.write(b"half of")
        raise raised


def test_what_is_written_is_read(blobs: Blobs) -> None:
    key = new_key()
    blobs.write(key, b"page")
    assert blobs.read(key) == b"page"
    with blobs.open(key) as file:
        file.seek(2)
        assert (file.read(1), file.tell(), file.read()) == (b"g", 3, b"e")
        assert file.seek(-1, io.SEEK_END) == 3


def test_a_large_blob_is_written_and_read_in_pieces(blobs: Blobs) -> None:
    with blobs.writer("large") as file:
        for number in range(100):
            file.write(bytes([number]) * 10_000)
    with blobs.open("large") as file:
        pieces = list(iter(lambda: file.read(30_000), b""))
    assert b"".join(pieces) == b"".join(bytes([number]) * 10_000 for number in range(100))


def test_an_exception_leaves_nothing_behind(blobs: Blobs) -> None:
    with pytest.raises(KeyboardInterrupt):
        write_half(blobs, "half", KeyboardInterrupt())
    with pytest.raises(BlobMissing):
        blobs.open("half")


def test_a_local_exception_leaves_no_partial_file(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="cut"):
        write_half(Blobs(tmp_path.as_uri()), "2026/half", ValueError("cut"))
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_local_blob_appears_whole_and_synced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[str] = []
    sync, rename = os.fsync, Path.rename
    monkeypatch.setattr(os, "fsync", lambda descriptor: (steps.append("sync"), sync(descriptor)))
    monkeypatch.setattr(Path, "rename", lambda path, target: (steps.append("rename"), rename(path, target)))
    with Blobs(tmp_path.as_uri()).writer("page") as file:
        file.write(b"1")
        assert not (tmp_path / "page").exists()
    assert (tmp_path / "page").read_bytes() == b"1"
    assert steps == ["sync", "rename", "sync"]  # the file, its name, the folder that holds the name


def test_new_folders_survive_a_power_cut_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[str] = []
    sync_folder = blobs_module._sync_folder
    monkeypatch.setattr(blobs_module, "_sync_folder", lambda folder: (synced.append(folder.name), sync_folder(folder)))
    store = Blobs((tmp_path / "root").as_uri())
    store.write("2026/12/page", b"1")
    assert synced == [tmp_path.name, "root", "2026", "12"]
    store.write("2026/12/other", b"1")
    assert synced[4:] == ["12"]


def test_a_url_without_a_driver_is_refused_before_anything_is_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    require_driver(tmp_path.as_uri())
    require_driver("simplecache::memory://bucket")
    with pytest.raises(BlobsUnusable, match="nothing://"):
        require_driver("nothing://bucket")
    monkeypatch.setitem(sys.modules, "s3fs", None)
    with pytest.raises(BlobsUnusable, match="s3://"):
        require_driver("s3://bucket")


@pytest.mark.parametrize("kind", [BlobError, BlobMissing, BlobsUnavailable, BlobsUnusable])
def test_an_error_raised_without_words_says_what_is_wrong(kind: type[BlobError]) -> None:
    assert str(kind()) == kind.__doc__


def test_what_is_missing_is_told_from_a_store_that_fails(blobs: Blobs, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BlobMissing):
        blobs.read("never written")
    monkeypatch.setattr(blobs._fs, "open", lambda *_: (_ for _ in ()).throw(ConnectionError("refused")))
    with pytest.raises(BlobsUnavailable, match="refused"):
        blobs.read("never written")


def test_a_store_that_fails_while_a_blob_is_read_says_so(blobs: Blobs, monkeypatch: pytest.MonkeyPatch) -> None:
    class Failing(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            raise TimeoutError("the network is gone")

    monkeypatch.setattr(blobs._fs, "open", lambda *_: Failing())
    with blobs.open("page") as file, pytest.raises(BlobsUnavailable, match="network is gone"):
        file.read(10)


def test_deleting_twice_is_deleting_once(blobs: Blobs) -> None:
    blobs.write("page", b"1")
    blobs.delete("page")
    blobs.delete("page")
    with pytest.raises(BlobMissing):
        blobs.read("page")


class LateFile(AbstractBufferedFile):  # type: ignore[misc]  # fsspec ships no types
    """Publishes when it is closed, as object stores do, and cannot take back what it has sent."""

    def _upload_chunk(self, final: bool = False) -> bool:
        if final:
            self.buffer.seek(0)
            self.fs.pipe_file(self.path, self.buffer.read())
        return True


def test_a_file_that_publishes_when_it_is_closed_is_not_closed_after_an_exception(monkeypatch: pytest.MonkeyPatch) -> None:
    blobs = Blobs(f"memory://{uuid.uuid4().hex}")
    late = LateFile(blobs._fs, blobs._path("half"), "wb")
    with monkeypatch.context() as patch:
        patch.setattr(MemoryFileSystem, "open", lambda *_: late)
        with pytest.raises(ValueError, match="cut"):
            write_half(blobs, "half", ValueError("cut"))
    late.__del__()
    with pytest.raises(BlobMissing):
        blobs.read("half")


def test_keys_are_spread_by_day_and_never_repeat() -> None:
    keys = {new_key() for _ in range(100)}
    assert len(keys) == 100
    assert {len(key.split("/")) for key in keys} == {4}
