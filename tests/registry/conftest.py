"""Small bundles with a real graph, and registries in temporary folders."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from inference.bundle import DataNote, Golden, InputSpec, Manifest, file_sha256
from tests.pictures import png

MakeBundle = Callable[..., Path]


def _graph(bias: float) -> onnx.ModelProto:
    """Scores the mean colour: `bias` speaks for printed."""
    weights = np.array([[-0.01, 0, 0], [0.01, 0, 0]], dtype=np.float32).reshape(2, 3, 1, 1)
    nodes = [
        helper.make_node("Cast", ["pixels"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["floats"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node("Conv", ["planes", "weights", "bias"], ["contributions"]),
        helper.make_node("ReduceMean", ["contributions", "axes"], ["logits"], keepdims=0),
        helper.make_node("Relu", ["contributions"], ["cam"]),
    ]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("pixels", TensorProto.UINT8, ["n", 32, 64, 3])],
        [
            helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", 2]),
            helper.make_tensor_value_info("cam", TensorProto.FLOAT, ["n", 2, 32, 64]),
        ],
        [
            numpy_helper.from_array(weights, "weights"),
            numpy_helper.from_array(np.array([0.0, bias], dtype=np.float32), "bias"),
            numpy_helper.from_array(np.array([2, 3], dtype=np.int64), "axes"),
        ],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


def measured(**changes: float) -> dict[str, Any]:
    """What a bundle states of its test split."""
    return {"accuracy": 0.5, "expected_calibration_error": 0.0, "confusion_matrix": [[1, 1], [1, 1]], **changes}


def data_note(fingerprint: str) -> DataNote:
    """What a bundle says that was tested on the images of that fingerprint."""
    return DataNote(name="lines", images={"test": 4}, fingerprints={"test": fingerprint})


@pytest.fixture
def make_bundle(tmp_path: Path) -> MakeBundle:
    """Write a bundle that calls a black image printed with the more confidence the greater `bias`; `golden` is what it claims
    to answer to one, and `changes` are those to its manifest.
    """

    def make(name: str = "tiny", *, bias: float = 0.0, golden: tuple[float, float] | None = None, **changes: Any) -> Path:
        directory = tmp_path / "bundles" / name
        directory.mkdir(parents=True)
        onnx.save(_graph(bias), directory / "model.onnx")
        (directory / "golden.png").write_bytes(png(0))
        files = ("model.onnx", "golden.png") if golden else ("model.onnx",)
        manifest = Manifest(
            name=name,
            labels=("handwritten", "printed"),
            input=InputSpec(height=32, width=64),
            temperature=1.0,
            review_threshold=0.9,
            serve="model.onnx",
            files={file: file_sha256(directory / file) for file in files},
            golden=Golden(file="golden.png", probabilities=golden) if golden else None,
            metrics={"test": measured()},
            created_at="2026-11-23T00:00:00+00:00",
        ).model_copy(update=changes)
        (directory / "bundle.json").write_text(json.dumps(manifest.model_dump(mode="json")))
        return directory

    return make


@pytest.fixture
def tracking_uri(tmp_path: Path) -> str:
    """A local store that does not exist yet."""
    return f"sqlite:///{tmp_path / 'home' / 'mlflow.db'}"


@pytest.fixture
def cache_dir(tmp_path: Path) -> Path:
    """Where bundles are cached."""
    return tmp_path / "models"
