"""Each gate refuses what it is there for, and lets pass what it should."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from inference.bundle import Bundle, file_sha256, load_bundle
from registry import gates
from registry.gates import Contest, Limits, serving_objection
from tests.registry.conftest import MakeBundle, data_note, measured


@pytest.fixture
def bundle(make_bundle: MakeBundle) -> Callable[..., Bundle]:
    """A bundle that was tested on the images `tested`, if that is named, with these measurements."""

    def make(name: str, *, tested: str | None = None, labels: tuple[str, ...] | None = None, **metrics: float) -> Bundle:
        changes = {"metrics": {"test": measured(**metrics)}, "data": data_note(tested) if tested else None}
        return load_bundle(make_bundle(name, **changes, **({"labels": labels} if labels else {})))

    return make


def contest(candidate: Bundle, champion: Bundle | None = None, limits: Limits | None = None) -> Contest:
    return Contest(candidate, champion, "1" if champion else None, limits or Limits())


def test_other_labels_are_refused(bundle) -> None:
    candidate, champion = bundle("a", labels=("blank", "text")), bundle("b")
    assert "its classes are blank, text" in (gates.labels_objection(contest(candidate, champion)) or "")
    assert gates.labels_objection(contest(bundle("c", labels=("printed", "handwritten")), champion)) is None
    assert gates.labels_objection(contest(candidate)) is None


def test_another_test_is_refused(bundle) -> None:
    champion = bundle("champion", tested="lines")
    other, silent, same = bundle("other", tested="pages"), bundle("silent"), bundle("same", tested="lines")
    assert "was tested on other images" in (gates.same_test_objection(contest(other, champion)) or "")
    assert "does not say on which images" in (gates.same_test_objection(contest(silent, champion)) or "")
    assert gates.same_test_objection(contest(same, champion)) is None


def test_a_starter_that_says_nothing_of_its_test_blocks_nobody(bundle) -> None:
    starter, candidate = bundle("starter", accuracy=1.0), bundle("candidate", tested="lines", accuracy=0.5)
    both = contest(candidate, starter)
    assert [gate(both) for gate in gates.GATES.values()] == [None] * len(gates.GATES)
    why = "version 1 in production does not say on which images it was tested"
    assert gates.standing_aside(both) == {"same_test": why, "metrics": why}


def test_worse_metrics_are_refused_beyond_the_margin(bundle) -> None:
    champion = bundle("champion", tested="lines", accuracy=0.98, macro_f1=0.98)
    for name, metrics, refused in [
        ("a", {"accuracy": 0.978, "macro_f1": 0.98}, []),
        ("b", {"accuracy": 0.9779, "macro_f1": 0.98}, ["accuracy is 0.9779"]),
        ("c", {"accuracy": 0.97, "macro_f1": 0.9}, ["accuracy is 0.9700", "macro_f1 is 0.9000"]),
        ("d", {"accuracy": 0.99}, ["macro_f1 is not stated"]),
    ]:
        objection = gates.metrics_objection(contest(bundle(name, tested="lines", **metrics), champion))
        assert (objection is None) is not bool(refused), name
        assert all(words in (objection or "") for words in refused)
    wide = contest(bundle("e", tested="lines", accuracy=0.95, macro_f1=0.95), champion, Limits(margin=0.05))
    assert gates.metrics_objection(wide) is None


def test_metrics_of_different_tests_are_not_compared(bundle) -> None:
    champion = bundle("champion", tested="lines", accuracy=0.98)
    other = contest(bundle("other", tested="pages", accuracy=0.5), champion)
    assert gates.metrics_objection(other) is None
    assert set(gates.standing_aside(other)) == {"metrics"}
    assert gates.standing_aside(contest(champion, champion)) == {}


def test_the_first_version_has_nothing_to_be_compared_with(bundle) -> None:
    first = contest(bundle("alone", tested="pages", accuracy=0.5))
    assert gates.metrics_objection(first) is None
    assert gates.standing_aside(first) == dict.fromkeys(("labels", "same_test", "metrics"), "nothing is in production yet")


def test_bad_calibration_is_refused(bundle) -> None:
    name = "expected_calibration_error"
    assert gates.calibration_objection(contest(bundle("good", **{name: 0.02}))) is None
    bad = bundle("bad", **{name: 0.021})
    assert "is 0.0210; at most 0.0200" in (gates.calibration_objection(contest(bad)) or "")
    assert gates.calibration_objection(contest(bad, limits=Limits(calibration_error=0.03))) is None


@pytest.mark.parametrize(
    "metrics", [{}, {"test": {"accuracy": 1.0}}, {"test": {"expected_calibration_error": "good"}}, {"test": 1.0}]
)
def test_unknown_calibration_is_refused(make_bundle: MakeBundle, metrics: dict[str, object]) -> None:
    candidate = load_bundle(make_bundle(metrics=metrics))
    assert "does not state" in (gates.calibration_objection(contest(candidate)) or "")


def test_a_bundle_that_runs_may_be_served(bundle) -> None:
    assert serving_objection(bundle("tiny")) is None


def test_a_file_that_is_no_graph_is_refused(bundle) -> None:
    directory = bundle("broken").directory
    (directory / "model.onnx").write_bytes(b"no graph")
    assert "cannot be loaded" in (serving_objection(_resealed(directory)) or "")


def test_a_graph_that_fails_when_it_runs_is_refused(bundle) -> None:
    directory = bundle("failing").directory
    model = onnx.load(directory / "model.onnx")
    next(node for node in model.graph.node if "logits" in node.output).output[0] = "raw"
    model.graph.node.append(helper.make_node("Reshape", ["raw", "one"], ["logits"]))
    model.graph.initializer.append(numpy_helper.from_array(np.array([1, 2]), "one"))  # room for the logits of one image
    onnx.save(model, directory / "model.onnx")
    assert "The graph cannot be run" in (serving_objection(_resealed(directory)) or "")


def test_a_graph_whose_answers_are_no_numbers_is_refused(make_bundle: MakeBundle) -> None:
    objection = serving_objection(load_bundle(make_bundle("nan", bias=float("nan"))))
    assert objection == "The graph gives what are no probabilities."


def _resealed(directory: Path) -> Bundle:
    """The bundle with the checksum of the graph that lies there now."""
    manifest = json.loads((directory / "bundle.json").read_text())
    manifest["files"] = {"model.onnx": file_sha256(directory / "model.onnx")}
    (directory / "bundle.json").write_text(json.dumps(manifest))
    return load_bundle(directory)
