"""Run a bundle's graph with onnxruntime and read its answers.

A session is made where it is used: after a worker's fork, never before. n images in, n verdicts out.

    ClassifierError
      DeviceUnavailable  WrongGraph  OutOfMemory

The docstring of a class is its message.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import onnxruntime as ort

from inference.bundle import Bundle, Manifest
from inference.dissent import dissent
from inference.preprocess import Pixels

Device = Literal["auto", "cpu", "cuda"]
FloatArray = npt.NDArray[np.float32]

_CUDA = "CUDAExecutionProvider"
_CPU = "CPUExecutionProvider"
_FULL_PRECISION_GRAPH = "model.onnx"
_OUT_OF_MEMORY = ("bad_alloc", "failed to allocate memory", "out of memory")
_REQUIRED = ("logits", "cam")
_OPTIONAL = ("distance", "typewriting")


class ClassifierError(Exception):
    """The model cannot be run."""

    def __init__(self, detail: str | None = None) -> None:
        super().__init__(detail or type(self).__doc__)


class DeviceUnavailable(ClassifierError):
    """A GPU was asked for, but onnxruntime cannot use one here."""


class WrongGraph(ClassifierError):
    """The graph cannot be loaded, or its inputs or outputs are not those that its manifest describes."""


class OutOfMemory(ClassifierError):
    """There is not enough memory to load or to run the model."""


class Oddity(NamedTuple):
    """What in an answer may be odd, however sure it is: `dissent` says by how much a part of the image prefers another class
    (in logits), `distance` how far it lies from what the model was made from, `typewriting` how much it looks typewritten (in
    logits); None where the graph does not know.
    """

    dissent: float
    distance: float | None = None
    typewriting: float | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a model says of one image: `probabilities` in the order of the labels, and the winner's class activation map
    (h x w, the share of each place in the logit before bias, not negative).
    """

    predicted_class: str
    confidence: float
    probabilities: dict[str, float]
    cam: FloatArray
    oddity: Oddity


class Classifier:
    """One bundle in memory. Safe to share between threads; not to be carried over a fork."""

    def __init__(self, bundle: Bundle, *, device: Device = "auto", threads: int = 1) -> None:
        """Raises `DeviceUnavailable` when `device` is "cuda" and there is none: a worker never falls back in silence."""
        self.bundle = bundle
        self.spec = bundle.manifest.input
        self.labels = bundle.manifest.labels
        self._session = _open_session(bundle, device, threads)
        self.on_gpu = _runs_on_gpu(self._session)
        self._input_name = _check_graph(self._session, bundle.manifest)
        given = {output.name for output in self._session.get_outputs()}
        self._outputs = [*_REQUIRED, *(name for name in _OPTIONAL if name in given)]

    def classify(self, batch: Sequence[Pixels]) -> list[Verdict]:
        """Classify prepared images, each height x width x 3 as `spec` says. Raises `OutOfMemory`."""
        if not batch:
            return []
        with _noticing_memory():
            logits, cams, *rest = self._session.run(self._outputs, {self._input_name: np.stack(batch)})
        probabilities = softmax(logits / np.float32(self.bundle.manifest.temperature))
        oddities = self._oddities(logits, cams, rest)
        return [self._read(*answer) for answer in zip(probabilities, cams, oddities, strict=True)]

    def warm_up(self) -> None:
        """Run one blank image, so that the first real one does not pay for memory planning. Raises a `ClassifierError`."""
        with _noticing_memory():
            blank = np.zeros((self.spec.height, self.spec.width, 3), dtype=np.uint8)
        try:
            self.classify([blank])
        except ClassifierError:
            raise
        except Exception as error:  # whatever it is, this model cannot be run here
            raise ClassifierError(f"{ClassifierError.__doc__} {error}") from error

    def _oddities(self, logits: FloatArray, cams: FloatArray, rest: Sequence[FloatArray]) -> list[Oddity]:
        """`rest` are the optional outputs that the graph gives, in their order."""
        told = dict(zip(self._outputs[len(_REQUIRED) :], (column.tolist() for column in rest), strict=True))
        unknown: list[Any] = [None] * len(logits)
        columns = [told.get(name, unknown) for name in _OPTIONAL]
        return [Oddity(*row) for row in zip(map(dissent, logits, cams), *columns, strict=True)]

    def _read(self, probabilities: FloatArray, cams: FloatArray, oddity: Oddity) -> Verdict:
        winner = int(probabilities.argmax())
        return Verdict(
            predicted_class=self.labels[winner],
            confidence=float(probabilities[winner]),
            probabilities={label: float(p) for label, p in zip(self.labels, probabilities, strict=True)},
            cam=cams[winner],
            oddity=oddity,
        )


def softmax(logits: FloatArray) -> FloatArray:
    """Rows of logits (n x classes) to rows of probabilities."""
    exponentials: FloatArray = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities: FloatArray = exponentials / exponentials.sum(axis=1, keepdims=True)
    return probabilities


def require_device(device: Device) -> None:
    """Raises `DeviceUnavailable` when onnxruntime was built without what `device` asks for; makes no session, so it may be
    asked before a fork. Whether there is a driver shows only with the first session.
    """
    if device == "cuda" and _CUDA not in ort.get_available_providers():
        raise DeviceUnavailable


def _open_session(bundle: Bundle, device: Device, threads: int) -> ort.InferenceSession:
    """On a GPU in full precision if there is one and it is wanted, else on the CPU."""
    if device != "cpu" and _CUDA in ort.get_available_providers():
        session = _make_session(bundle.graph_path(_FULL_PRECISION_GRAPH), [_CUDA, _CPU], threads)
        # onnxruntime lists CUDA where it was built in, and without a driver falls back with no more than a log line.
        if _runs_on_gpu(session):
            return session
    if device == "cuda":
        raise DeviceUnavailable
    return _make_session(bundle.graph_path(), [_CPU], threads)


def _runs_on_gpu(session: ort.InferenceSession) -> bool:
    return bool(session.get_providers()[0] == _CUDA)


def _make_session(graph: Path, providers: list[str], threads: int) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # Threads that spin while they wait steal the cores from the other worker processes.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        with _noticing_memory():
            # Its bytes and not its path, by which onnxruntime would find weights outside the bundle that no checksum covers.
            return ort.InferenceSession(graph.read_bytes(), options, providers=providers)
    except OutOfMemory:
        raise
    except Exception as error:  # onnxruntime has a class for each of its status codes, with no base of their own
        raise WrongGraph(f"{graph} cannot be loaded: {error}.") from error


@contextmanager
def _noticing_memory() -> Iterator[None]:
    """onnxruntime reports a lack of memory under whichever status it was busy with; only the text tells it."""
    try:
        yield
    except Exception as error:
        if isinstance(error, MemoryError) or any(phrase in str(error).lower() for phrase in _OUT_OF_MEMORY):
            raise OutOfMemory from error
        raise


def _check_graph(session: ort.InferenceSession, manifest: Manifest) -> str:
    """The name of the graph's input."""
    inputs = session.get_inputs()
    outputs = {output.name: output.shape for output in session.get_outputs()}
    fits = (
        [i.type for i in inputs] == ["tensor(uint8)"]
        and _agree(inputs[0].shape, ["n", manifest.input.height, manifest.input.width, 3])
        and _agree(outputs.get("logits", []), ["n", len(manifest.labels)])
        and _agree(outputs.get("cam", []), ["n", len(manifest.labels), "h", "w"])
        and all(_agree(outputs.get(name, ["n"]), ["n"]) for name in _OPTIONAL)
        and all(name in outputs for name in _limited(manifest))
    )
    if not fits:
        raise WrongGraph(
            f"The graph takes {[(i.type, i.shape) for i in inputs]} and gives {outputs}; its manifest says otherwise."
        )
    return str(inputs[0].name)


def _limited(manifest: Manifest) -> list[str]:
    """The optional outputs that the manifest sets a limit to."""
    return [name for name in _OPTIONAL if getattr(manifest.envelope, f"max_{name}", None) is not None]


def _agree(found: Sequence[int | str], wanted: Sequence[int | str]) -> bool:
    """Whether two shapes can be one; a name or nothing in place of a number leaves it open."""
    numbers = [(f, w) for f, w in zip(found, wanted, strict=False) if isinstance(f, int) and isinstance(w, int)]
    return len(found) == len(wanted) and all(f == w for f, w in numbers)
