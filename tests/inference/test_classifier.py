import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import numpy as np
import onnx
import onnxruntime as ort
import pytest

from inference.bundle import Bundle, InputSpec, load_bundle
from inference.classifier import (
    Classifier,
    ClassifierError,
    DeviceUnavailable,
    OutOfMemory,
    Verdict,
    WrongGraph,
    require_device,
    softmax,
)
from inference.preprocess import Pixels
from registry.starter import STARTER
from tests.pictures import DARK, GREY, LIGHT
from tests.tiny_bundle import ENVELOPE, HEIGHT, WIDTH, write_tiny_bundle


def page(level: int) -> Pixels:
    return np.full((HEIGHT, WIDTH, 3), level, dtype=np.uint8)


def with_manifest(bundle: Bundle, **changes: Any) -> Bundle:
    return Bundle(bundle.directory, bundle.manifest.model_copy(update=changes))


@pytest.fixture
def bundle(tiny_bundle: Path) -> Bundle:
    return load_bundle(tiny_bundle)


def test_every_image_gets_its_own_verdict_in_order(tiny_classifier: Classifier) -> None:
    levels = [DARK, LIGHT, LIGHT, DARK, LIGHT]
    verdicts = tiny_classifier.classify([page(level) for level in levels])
    assert [v.predicted_class for v in verdicts] == ["handwritten" if level == DARK else "printed" for level in levels]


def test_no_images_make_no_verdicts(tiny_classifier: Classifier) -> None:
    assert tiny_classifier.classify([]) == []


def test_a_batch_answers_as_single_images_do(tiny_classifier: Classifier) -> None:
    chance = np.random.default_rng(1)
    pages = [chance.integers(90, 160, (HEIGHT, WIDTH, 3), dtype=np.uint8) for _ in range(7)]
    together = tiny_classifier.classify(pages)
    for single, batched in zip([tiny_classifier.classify([p])[0] for p in pages], together, strict=True):
        assert single.confidence == pytest.approx(batched.confidence, abs=1e-5)
        np.testing.assert_allclose(single.cam, batched.cam, atol=1e-5)


def test_the_confidence_is_the_winners_probability(tiny_classifier: Classifier) -> None:
    [verdict] = tiny_classifier.classify([page(GREY)])
    assert sum(verdict.probabilities.values()) == pytest.approx(1)
    assert verdict.confidence == max(verdict.probabilities.values())
    assert verdict.probabilities[verdict.predicted_class] == verdict.confidence


def test_the_map_is_the_winners(tiny_classifier: Classifier) -> None:
    [verdict] = tiny_classifier.classify([page(DARK)])
    assert verdict.cam.shape == (HEIGHT // 32, WIDTH // 32)
    assert verdict.cam.min() > 0  # the loser's is zero everywhere


def test_a_higher_temperature_makes_confidences_humbler(bundle: Bundle) -> None:
    def confidence(temperature: float) -> float:
        return Classifier(with_manifest(bundle, temperature=temperature)).classify([page(110)])[0].confidence

    cold, warm, hot = (confidence(temperature) for temperature in (0.5, 1, 4))
    assert 0.5 < hot < warm < cold < 1


def test_the_temperature_divides_the_logits(bundle: Bundle) -> None:
    [plain] = Classifier(bundle).classify([page(110)])
    [scaled] = Classifier(with_manifest(bundle, temperature=2.0)).classify([page(110)])
    odds, scaled_odds = (v.probabilities["handwritten"] / v.probabilities["printed"] for v in (plain, scaled))
    assert scaled_odds == pytest.approx(odds**0.5, rel=1e-3)


def test_a_graph_that_tells_distances_gives_each_image_its_own(tmp_path: Path) -> None:
    classifier = Classifier(load_bundle(write_tiny_bundle(tmp_path, distance=True)))
    verdicts = classifier.classify([page(level) for level in (0, 51, 255)])
    assert [verdict.oddity.distance for verdict in verdicts] == pytest.approx([0, 0.2, 1], abs=1e-5)
    assert [verdict.predicted_class for verdict in verdicts] == ["handwritten", "handwritten", "printed"]


def test_a_graph_that_tells_neither_distance_nor_typewriting_serves_without(tiny_classifier: Classifier) -> None:
    assert tiny_classifier.classify([page(DARK)])[0].oddity[1:] == (None, None)


def test_a_limit_on_distances_that_the_graph_does_not_tell_is_refused(bundle: Bundle, tmp_path: Path) -> None:
    envelope = ENVELOPE.model_copy(update={"max_distance": 2.0})
    with pytest.raises(WrongGraph):
        Classifier(with_manifest(bundle, envelope=envelope))
    Classifier(load_bundle(write_tiny_bundle(tmp_path, envelope=envelope, distance=True)))


def test_softmax_does_not_overflow() -> None:
    assert softmax(np.array([[1e4, -1e4], [0, 0]], dtype=np.float32)).tolist() == [[1, 0], [0.5, 0.5]]


def test_a_gpu_that_is_not_there_is_refused(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ort, "get_available_providers", lambda: ["CPUExecutionProvider"])
    with pytest.raises(DeviceUnavailable):
        Classifier(bundle, device="cuda")
    assert not Classifier(bundle, device="auto").on_gpu


def test_a_manifest_that_describes_another_graph_is_refused(bundle: Bundle) -> None:
    for changes in ({"labels": ("a", "b", "c")}, {"input": InputSpec(height=HEIGHT * 2, width=WIDTH)}):
        with pytest.raises(WrongGraph):
            Classifier(with_manifest(bundle, **changes))


def changed_graph(bundle: Bundle, folder: Path, change: str) -> Bundle:
    model = onnx.load(bundle.graph_path())
    if change == "no cam":
        del model.graph.output[1]
    elif change == "float input":
        model.graph.input[0].type.tensor_type.elem_type = onnx.TensorProto.FLOAT
    elif change == "two inputs":
        model.graph.input.append(onnx.helper.make_tensor_value_info("second", onnx.TensorProto.FLOAT, [1]))
    elif change == "distances of places":
        model.graph.node.append(onnx.helper.make_node("Identity", ["logits"], ["distance"]))
        model.graph.output.append(onnx.helper.make_tensor_value_info("distance", onnx.TensorProto.FLOAT, ["n", 2]))
    onnx.save(model, folder / "model.onnx")
    return Bundle(folder, bundle.manifest)


@pytest.mark.parametrize("change", ["no cam", "float input", "two inputs", "distances of places"])
def test_a_graph_with_other_ends_is_refused(bundle: Bundle, tmp_path: Path, change: str) -> None:
    with pytest.raises(WrongGraph):
        Classifier(changed_graph(bundle, tmp_path, change))


@pytest.mark.parametrize("content", [b"", b"no graph", b"\x08\x09" * 50])
def test_a_file_that_is_no_graph_is_refused(bundle: Bundle, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "model.onnx").write_bytes(content)
    with pytest.raises(WrongGraph, match="cannot be loaded"):
        Classifier(Bundle(tmp_path, bundle.manifest))


def test_a_graph_with_weights_outside_the_bundle_is_refused(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = onnx.load(bundle.graph_path())
    onnx.save_model(model, tmp_path / "model.onnx", save_as_external_data=True, location="weights.bin", size_threshold=0)
    monkeypatch.chdir(tmp_path)  # where onnxruntime would look for them
    with pytest.raises(WrongGraph):
        Classifier(Bundle(tmp_path, bundle.manifest))


def too_little_memory(megabytes: int) -> str:
    """What a process with so much room beyond the bare libraries says of the model that ships; 1 thread, since stacks count."""
    program = f"""
import resource
from pathlib import Path
from inference.bundle import load_bundle
from inference.classifier import Classifier, ClassifierError
bundle = load_bundle(Path({str(STARTER)!r}))
pages = int(Path("/proc/self/statm").read_text().split()[0])
limit = pages * resource.getpagesize() + {megabytes} * 2**20
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
try:
    Classifier(bundle, device="cpu").warm_up()
except ClassifierError as error:
    print(type(error).__name__)
"""
    return subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    ).stdout.strip()


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="only Linux tells a process's size there")
@pytest.mark.parametrize("megabytes", [2, 6, 12])  # too little to read it, to parse it, to run it
def test_a_lack_of_memory_is_no_fault_of_the_graph(megabytes: int) -> None:
    assert too_little_memory(megabytes) == "OutOfMemory"


@pytest.mark.parametrize(
    "error", [MemoryError(), RuntimeError("[ONNXRuntimeError] : 1 : FAIL : bfc_arena.cc Failed to allocate memory for 8 bytes")]
)
def test_a_lack_of_memory_in_mid_run_is_told_apart(bundle: Bundle, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    classifier = Classifier(bundle)
    monkeypatch.setattr(classifier, "_session", SimpleNamespace(run=MagicMock(side_effect=error)))
    with pytest.raises(OutOfMemory):
        classifier.classify([page(DARK)])


def test_a_graph_that_loads_but_does_not_run_is_a_classifier_error(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    classifier = Classifier(bundle)
    monkeypatch.setattr(classifier, "_session", SimpleNamespace(run=MagicMock(side_effect=RuntimeError("Conv node"))))
    with pytest.raises(ClassifierError, match="Conv node"):
        classifier.warm_up()


def test_warming_up_takes_what_the_manifest_says(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    batches: list[tuple[int, ...]] = []
    original = Classifier.classify

    def watched(self: Classifier, batch: list[Pixels]) -> list[Verdict]:
        batches.append((len(batch), *batch[0].shape))
        return original(self, batch)

    monkeypatch.setattr(Classifier, "classify", watched)
    Classifier(bundle).warm_up()
    assert batches == [(1, HEIGHT, WIDTH, 3)]


def test_a_gpu_that_onnxruntime_does_not_know_is_missed_before_a_session_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ort, "get_available_providers", lambda: ["CPUExecutionProvider"])
    require_device("auto")
    require_device("cpu")
    with pytest.raises(DeviceUnavailable):
        require_device("cuda")


@pytest.mark.parametrize("kind", [ClassifierError, DeviceUnavailable, OutOfMemory, WrongGraph])
def test_an_error_raised_without_words_says_what_is_wrong(kind: type[ClassifierError]) -> None:
    assert str(kind()) == kind.__doc__
