"""A model that a test can predict: dark pages are handwritten, light ones printed, and mid-grey ones doubtful.

It has the inputs and outputs of the real graph, and runs in a tenth of a millisecond.
"""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from inference.bundle import Envelope, InputSpec, Manifest, file_sha256

HEIGHT, WIDTH = 64, 256
REVIEW_THRESHOLD = 0.9
ENVELOPE = Envelope(min_aspect_ratio=0.2, max_aspect_ratio=20, min_contrast=0, max_row_changes=10, max_dissent=50)
"""Its pages may have one grey level, but not the shape of a ribbon."""
_STRIDE = 32


def write_tiny_bundle(
    directory: Path,
    *,
    name: str = "tiny",
    review_threshold: float = REVIEW_THRESHOLD,
    envelope: Envelope | None = ENVELOPE,
    distance: bool = False,
) -> Path:
    """Write a valid bundle into `directory` and return it; with `distance` lighter images lie farther away, from 0 to 1."""
    directory.mkdir(parents=True, exist_ok=True)
    onnx.save(_graph(distance=distance), directory / "model.onnx")
    manifest = Manifest(
        name=name,
        labels=("handwritten", "printed"),
        input=InputSpec(height=HEIGHT, width=WIDTH),
        temperature=1.0,
        review_threshold=review_threshold,
        envelope=envelope,
        serve="model.onnx",
        files={"model.onnx": file_sha256(directory / "model.onnx")},
        metrics={"test": {"accuracy": 1.0, "expected_calibration_error": 0.0}},
        created_at="2026-11-23T00:00:00+00:00",
    )
    (directory / "bundle.json").write_text(manifest.model_dump_json(indent=2))
    return directory


def _graph(*, distance: bool) -> onnx.ModelProto:
    """The logits are -20 and +20 times (mean - 0.5), where the mean is that of the pixels, 0 to 1."""
    weight = np.zeros((2, 3, 1, 1), dtype=np.float32)
    weight[0], weight[1] = -20.0 / 3, 20.0 / 3
    bias = np.array([10.0, -10.0], dtype=np.float32)
    shape = [HEIGHT // _STRIDE, WIDTH // _STRIDE]
    nodes = [
        helper.make_node("Cast", ["pixels"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("Div", ["float", "white"], ["scaled"]),
        helper.make_node("Transpose", ["scaled"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node("AveragePool", ["planes"], ["features"], kernel_shape=[_STRIDE] * 2, strides=[_STRIDE] * 2),
        helper.make_node("Conv", ["features", "weight", "bias"], ["scores"]),
        helper.make_node("Relu", ["scores"], ["positive"]),
        helper.make_node("Div", ["positive", "places"], ["cam"]),
        helper.make_node("GlobalAveragePool", ["scores"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["logits"]),
    ]
    outputs = [
        helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", 2]),
        helper.make_tensor_value_info("cam", TensorProto.FLOAT, ["n", 2, *shape]),
    ]
    if distance:
        nodes.append(helper.make_node("ReduceMean", ["scaled"], ["distance"], axes=[1, 2, 3], keepdims=0))
        outputs.append(helper.make_tensor_value_info("distance", TensorProto.FLOAT, ["n"]))
    constants = {
        "white": np.array(255.0, dtype=np.float32),
        "places": np.array(shape[0] * shape[1], dtype=np.float32),
        "weight": weight,
        "bias": bias,
    }
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("pixels", TensorProto.UINT8, ["n", HEIGHT, WIDTH, 3])],
        outputs,
        [numpy_helper.from_array(value, key) for key, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
