import json
from pathlib import Path
from typing import Any

import pytest

from inference.bundle import Bundle, file_sha256, load_bundle
from inference.errors import BundleError, BundleInvalid, BundleMissing, ChecksumMismatch
from tests.tiny_bundle import ENVELOPE, write_tiny_bundle


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_tiny_bundle(tmp_path / "bundle")


def change_manifest(folder: Path, **changes: Any) -> None:
    path = folder / "bundle.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_a_valid_bundle_knows_its_folder_and_its_graphs(folder: Path) -> None:
    bundle = load_bundle(folder)
    assert bundle.manifest.labels == ("handwritten", "printed")
    assert bundle.graph_path() == folder / "model.onnx"
    assert bundle.graph_path("model.int8.onnx") == folder / "model.int8.onnx"


def test_a_bundle_may_know_nothing_of_the_pages_that_it_was_made_for(folder: Path) -> None:
    assert load_bundle(folder).manifest.envelope == ENVELOPE
    change_manifest(folder, envelope=None)
    assert load_bundle(folder).manifest.envelope is None


def test_a_folder_without_a_manifest_is_no_bundle(tmp_path: Path) -> None:
    with pytest.raises(BundleMissing):
        load_bundle(tmp_path)


@pytest.mark.parametrize(
    "changes",
    [
        {"format_version": 2},
        {"labels": ["handwritten"]},
        {"temperature": 0},
        {"review_threshold": 1.5},
        {"input": {"height": 8, "width": 8}},
        {"input": {"height": 64, "width": 256, "resize": "crop"}},
        {"unheard_of": True},
        {"envelope": {"min_aspect_ratio": 1}},
        {"envelope": ENVELOPE.model_dump() | {"max_distance": 0}},
        {"envelope": ENVELOPE.model_dump() | {"unheard_of": 1}},
        {"serve": "other.onnx"},
    ],
)
def test_a_manifest_that_says_something_impossible_is_invalid(folder: Path, changes: dict[str, Any]) -> None:
    change_manifest(folder, **changes)
    with pytest.raises(BundleInvalid):
        load_bundle(folder)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe\x00"])
def test_a_manifest_that_is_no_json_object_is_invalid(folder: Path, content: bytes) -> None:
    (folder / "bundle.json").write_bytes(content)
    with pytest.raises(BundleInvalid):
        load_bundle(folder)


@pytest.mark.parametrize("name", ["../model.onnx", "/etc/passwd", "graphs/model.onnx"])
def test_a_manifest_may_not_name_a_file_outside_its_folder(folder: Path, name: str) -> None:
    change_manifest(folder, files={"model.onnx": file_sha256(folder / "model.onnx"), name: "0" * 64})
    with pytest.raises(BundleInvalid, match="outside itself"):
        load_bundle(folder)


def test_a_changed_graph_is_noticed(folder: Path) -> None:
    with (folder / "model.onnx").open("ab") as file:
        file.write(b"\0")
    with pytest.raises(ChecksumMismatch, match="does not have the SHA-256"):
        load_bundle(folder)


def test_a_missing_graph_is_noticed(folder: Path) -> None:
    (folder / "model.onnx").unlink()
    with pytest.raises(ChecksumMismatch, match="lacks"):
        load_bundle(folder)


def test_a_bundle_cannot_be_changed(folder: Path) -> None:
    bundle: Any = load_bundle(folder)
    assert isinstance(bundle, Bundle)
    with pytest.raises(AttributeError):
        bundle.directory = Path()


@pytest.mark.parametrize("kind", [BundleError, BundleMissing, BundleInvalid, ChecksumMismatch])
def test_an_error_raised_without_words_says_what_is_wrong(kind: type[BundleError]) -> None:
    assert str(kind()) == kind.__doc__
