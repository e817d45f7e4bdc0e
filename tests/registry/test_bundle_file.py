"""A bundle file holds what its manifest says and nothing else; whatever a stranger put there is refused."""

import json
import os
import zipfile
from pathlib import Path

import pytest

from inference.bundle import Bundle, load_bundle
from inference.errors import BundleInvalid, ChecksumMismatch
from registry import bundle_file
from registry.bundle_file import read_bundle_file, write_bundle_file
from registry.errors import BundleFileInvalid
from tests.pictures import zip_of
from tests.registry.conftest import MakeBundle


@pytest.fixture
def bundle(make_bundle: MakeBundle) -> Bundle:
    return load_bundle(make_bundle())


@pytest.fixture
def entries(bundle: Bundle) -> dict[str, bytes]:
    """What a bundle file holds."""
    return {name: (bundle.directory / name).read_bytes() for name in ("bundle.json", "model.onnx")}


def read(tmp_path: Path, data: bytes) -> Bundle:
    (tmp_path / "strange.zip").write_bytes(data)
    return read_bundle_file(tmp_path / "strange.zip", tmp_path / "unpacked")


def test_a_bundle_comes_back_and_its_file_is_always_the_same(bundle: Bundle, tmp_path: Path) -> None:
    write_bundle_file(bundle, tmp_path / "a.zip")
    os.utime(bundle.directory / "model.onnx", (0, 0))
    write_bundle_file(bundle, tmp_path / "b.zip")
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()
    assert zipfile.ZipFile(tmp_path / "a.zip").namelist() == ["bundle.json", "model.onnx"]
    assert read_bundle_file(tmp_path / "a.zip", tmp_path / "unpacked").manifest == bundle.manifest
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.zip", "b.zip", "bundles", "unpacked"]


def test_a_compressed_zip_of_the_folder_is_one_too(entries: dict[str, bytes], tmp_path: Path) -> None:
    assert read(tmp_path, zip_of(entries, compression=zipfile.ZIP_DEFLATED)).manifest.name == "tiny"


@pytest.mark.parametrize("name", ["../evil", "/etc/evil", "folder/evil", "..", "a\\b", "folder/"])
def test_a_name_that_is_a_path_is_refused(entries: dict[str, bytes], tmp_path: Path, name: str) -> None:
    with pytest.raises(BundleFileInvalid, match="not a plain file name"):
        read(tmp_path, zip_of({**entries, name: b""}))
    assert not (tmp_path / "unpacked").exists()


def test_a_path_in_the_manifest_leads_nowhere(entries: dict[str, bytes], tmp_path: Path) -> None:
    manifest = json.loads(entries["bundle.json"])
    manifest["files"]["../evil"] = "0"
    with pytest.raises(BundleFileInvalid, match=r"differ in '\.\./evil'"):
        read(tmp_path, zip_of({**entries, "bundle.json": json.dumps(manifest).encode()}))


def test_a_file_that_the_manifest_does_not_name_is_refused(entries: dict[str, bytes], tmp_path: Path) -> None:
    with pytest.raises(BundleFileInvalid, match=r"differ in 'weights\.pkl'"):
        read(tmp_path, zip_of({**entries, "weights.pkl": b"evil"}))


def test_a_file_that_is_missing_is_refused(entries: dict[str, bytes], tmp_path: Path) -> None:
    with pytest.raises(BundleFileInvalid, match=r"differ in 'model\.onnx'"):
        read(tmp_path, zip_of({"bundle.json": entries["bundle.json"]}))
    with pytest.raises(BundleFileInvalid, match=r"has no bundle\.json"):
        read(tmp_path, zip_of({"model.onnx": entries["model.onnx"]}))


def test_a_changed_file_is_refused(entries: dict[str, bytes], tmp_path: Path) -> None:
    with pytest.raises(ChecksumMismatch):
        read(tmp_path, zip_of({**entries, "model.onnx": b"changed"}))


def test_a_wrong_manifest_is_refused(entries: dict[str, bytes], tmp_path: Path) -> None:
    with pytest.raises(BundleInvalid, match="not valid"):
        read(tmp_path, zip_of({**entries, "bundle.json": b"{}"}))


@pytest.mark.filterwarnings("ignore:Duplicate name:UserWarning")  # of the zip that this test makes on purpose
def test_a_name_twice_is_refused(entries: dict[str, bytes], tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "twice.zip", "w") as archive:
        for name in ("bundle.json", "model.onnx", "model.onnx"):
            archive.writestr(name, entries[name])
    with pytest.raises(BundleFileInvalid, match="names a file twice"):
        read_bundle_file(tmp_path / "twice.zip", tmp_path / "unpacked")


def test_too_much_is_refused(entries: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BundleFileInvalid, match="at most 16"):
        read(tmp_path, zip_of({str(number): b"" for number in range(17)}))
    monkeypatch.setattr(bundle_file, "MAX_MANIFEST_BYTES", 10)
    with pytest.raises(BundleFileInvalid, match="more than 10 bytes"):
        read(tmp_path, zip_of(entries))


def test_a_bomb_is_cut_off_while_it_is_read(entries: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundle_file, "MAX_BYTES", 100_000)
    bomb = zip_of({**entries, "model.onnx": bytes(10_000_000)}, compression=zipfile.ZIP_DEFLATED)
    assert len(bomb) < 20_000
    with pytest.raises(BundleFileInvalid, match="more than 100000 bytes"):
        read(tmp_path, bomb)


def test_an_encrypted_entry_is_refused(entries: dict[str, bytes], tmp_path: Path) -> None:
    data = bytearray(zip_of(entries))
    central = data.rindex(b"PK\x01\x02")
    data[central + 8] |= 1
    with pytest.raises(BundleFileInvalid, match="encrypted"):
        read(tmp_path, bytes(data))


def test_what_is_no_zip_or_half_a_zip_is_refused(entries: dict[str, bytes], tmp_path: Path) -> None:
    whole = zip_of(entries, compression=zipfile.ZIP_DEFLATED)
    scrambled = whole[:40] + bytes(60) + whole[100:]
    for data in (b"", b"no zip", whole[: len(whole) // 2], scrambled):
        with pytest.raises(BundleFileInvalid, match=r"strange\.zip is not a bundle file"):
            read(tmp_path, data)


def test_a_file_that_is_not_there_says_so(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_bundle_file(tmp_path / "nowhere.zip", tmp_path / "unpacked")
