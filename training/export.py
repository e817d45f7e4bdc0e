"""Write the network as ONNX graphs: full precision, and 8-bit integers for processors.

Both take uint8 pixels (n x height x width x 3) and give `logits`, `cam` and, where the model knows what is familiar and how
typewriting looks, `distance` and `typewriting`; both hold their weights inside.
"""

import tempfile
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime as ort
import torch
from onnx import numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

from inference.bundle import InputSpec
from inference.preprocess import Pixels
from training.model import ServingModel

FloatArray = npt.NDArray[np.float32]

INPUT = "pixels"
OUTPUTS = ["logits", "cam"]
DISTANCE = "distance"
TYPEWRITING = "typewriting"
BIAS = "bias"
_OPSET = 18
_QUANTISED_OPERATORS = ["Conv", "Add", "Clip"]


def export_graph(model: ServingModel, path: Path, spec: InputSpec) -> None:
    """Write the full-precision graph, for batches of any size."""
    example = torch.zeros(1, spec.height, spec.width, 3, dtype=torch.uint8)
    # channels last is how the trunk runs fastest in torch; in the graph it would become needless transpositions.
    model = model.cpu().to(memory_format=torch.contiguous_format)
    known = [name for name, knows in ((DISTANCE, model.familiar), (TYPEWRITING, model.typewriting)) if knows is not None]
    outputs = [*OUTPUTS, *known]
    dynamic = {name: {0: "n"} for name in (INPUT, *outputs)}
    with warnings.catch_warnings():
        # The tracing exporter is deprecated for one that needs a further package, and traces this network just as well.
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.onnx.export(
            model,
            (example,),
            path,
            input_names=[INPUT],
            output_names=outputs,
            dynamic_axes=dynamic,
            opset_version=_OPSET,
            dynamo=False,
        )
    onnx.checker.check_model(onnx.load(path), full_check=True)


def quantize_graph(source: Path, destination: Path, calibration: Sequence[Pixels], *, float_convolutions: int) -> None:
    """Write `source` with 8-bit activations (unsigned) and weights (signed, per channel), ranges as seen on `calibration`.

    The first `float_convolutions` and all that follows the last feature map stay in floating point. By how much the mean
    logits differ from those of `source` is taken out of the bias (bias correction, Nagel et al. 2019).
    """
    with tempfile.TemporaryDirectory() as folder:
        prepared = Path(folder, "prepared.onnx")
        quant_pre_process(str(source), str(prepared))
        quantize_static(
            str(prepared),
            str(destination),
            _Calibration(calibration),
            quant_format=QuantFormat.QDQ,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            per_channel=True,
            op_types_to_quantize=_QUANTISED_OPERATORS,
            nodes_to_exclude=_float_nodes(onnx.load(prepared).graph, float_convolutions),
        )
    shift = _mean_logits(destination, calibration) - _mean_logits(source, calibration)
    _correct_bias(destination, shift)


class _Calibration(CalibrationDataReader):  # type: ignore[misc]  # onnxruntime is untyped
    def __init__(self, images: Sequence[Pixels]) -> None:
        self._images: Iterator[Pixels] = iter(images)

    def get_next(self) -> dict[str, Pixels] | None:
        image = next(self._images, None)
        return None if image is None else {INPUT: image[None]}


def _float_nodes(graph: onnx.GraphProto, float_convolutions: int) -> list[str]:
    """The first convolutions, and all that the last feature map is not made of: the head, and what only looks at the maps.

    An 8-bit output ends where that of the calibration images does, which are all of the kinds that the model knows.
    """
    convolutions = [node.name for node in graph.node if node.op_type == "Conv"]
    trunk = _sources_of(graph, convolutions[-1])
    return [*convolutions[:float_convolutions], *(node.name for node in graph.node if node.name not in trunk)]


def _sources_of(graph: onnx.GraphProto, name: str) -> set[str]:
    """The nodes that the one of that name needs, itself left out."""
    makers = {output: node for node in graph.node for output in node.output}
    (wanted,) = [node for node in graph.node if node.name == name]
    found: set[str] = set()
    todo = list(wanted.input)
    while todo:
        maker = makers.get(todo.pop())
        if maker is not None and maker.name not in found:
            found.add(maker.name)
            todo.extend(maker.input)
    return found


def _mean_logits(path: Path, images: Sequence[Pixels]) -> FloatArray:
    session = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
    logits = [session.run(["logits"], {INPUT: image[None]})[0][0] for image in images]
    return np.asarray(np.mean(logits, axis=0), dtype=np.float32)


def _correct_bias(path: Path, shift: FloatArray) -> None:
    model = onnx.load(path)
    (bias,) = [initializer for initializer in model.graph.initializer if initializer.name == BIAS]
    bias.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(bias) - shift, BIAS))
    onnx.save(model, path)
