"""Describe a bundle to MLflow: an `MLmodel` file with the graph's signature makes the folder a model that the UI understands.

The graph is not saved a second time and nothing is pickled: `mlflow.onnx.load_model` reads the same file that serving does.
"""

from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import onnx
from onnx import helper

from inference.bundle import Bundle

if TYPE_CHECKING:
    from mlflow.models import Model, ModelSignature

_FREE = -1


def describe_model(bundle: Bundle, *, run_id: str, artifact_path: str) -> "Model":
    """The bundle's served graph as MLflow's ONNX flavour, in the folder `artifact_path` of the run's artifacts."""
    from mlflow.models import Model

    manifest = bundle.manifest
    metadata = {"labels": list(manifest.labels), "review_threshold": manifest.review_threshold, "bundle": manifest.name}
    model = Model(artifact_path=artifact_path, run_id=run_id, signature=signature(bundle), metadata=metadata)
    return model.add_flavor("onnx", onnx_version=version("onnx"), data=manifest.serve)


def signature(bundle: Bundle) -> "ModelSignature":
    """The tensors that the served graph takes and gives; -1 stands for a dimension that is free."""
    from mlflow.models import ModelSignature
    from mlflow.types import Schema

    graph = onnx.load(bundle.graph_path(), load_external_data=False).graph
    inputs, outputs = ([_tensor(value) for value in values] for values in (graph.input, graph.output))
    return ModelSignature(inputs=Schema(inputs), outputs=Schema(outputs))


def _tensor(value: Any) -> Any:
    from mlflow.types import TensorSpec

    found = value.type.tensor_type
    shape = tuple(dimension.dim_value or _FREE for dimension in found.shape.dim)
    return TensorSpec(helper.tensor_dtype_to_np_dtype(found.elem_type), shape, value.name)
