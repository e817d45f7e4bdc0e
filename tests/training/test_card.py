import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from inference.bundle import Bundle, DataNote, load_bundle
from registry.cache import manifest_sha256
from tests.training.conftest import LABELS
from training import __main__
from training.card import CARD, render_card
from training.errors import NoCardText, NotMeasured, ResultsInvalid, ResultsOfAnotherModel
from training.evaluate import Evaluation
from training.manifest import write_manifest
from training.results import Answers, Counted, Noticed, OddInputs, Robustness, UnseenSources

SECTIONS = (
    *("model", "figures", "classes", "confidence", "threshold", "exports", "recipes", "unseen_sources", "sources", "centuries"),
    *("robustness", "odd_inputs", "data", "attribution", "training"),
)
NOTES = {
    "architecture": "MobileNetV2",
    "parameters": {"target_error": "0.005", "epochs": "9", "processes": "2"},
    "epochs": 7,
    "best_epoch": 5,
    "versions": {"torch": "2.15.0"},
    "largest_difference_to_torch": 3e-7,
    "largest_difference_to_grad_cam": 2e-8,
    "validation_agreement_of_quantized": 0.9978,
    "quantized_left_out_because": "It loses 0.40% of validation accuracy.",
}


FIGURES = (
    "| accuracy | 0.8750 | 0.8750 |",
    "| flagged as strange, however sure | 1.23 % | 1.23 % |",
    "| handwritten | 12 | 0.9091 | 0.8333 | 0.8696 | 10 | 2 |",
    "| example.org/a | 24 | 0.8750 |",
    "| 18 | 24 | 0.8750 |",
    "**Review threshold** 0.9000",
    "at most 0.50 % errors",
    "torch and `model.onnx`: 3.0e-07.",
    "Grad-CAM: 2.0e-08.",
    "on 99.78 % of the validation lines.",
    "left out: It loses 0.40% of validation accuracy.",
    "| test | 24 | `c0ffee` |",
    "7 epochs, of which number 5",
    "torch 2.15.0",
    "| `epochs` | `9` |",
    "**accuracy 0.9750** on 40 lines. Their recipe was this model's.",
    "Of the sources of test 1 are in no other split: on their 24 lines this model has 0.8750.",
    "| a/b | 10 | 0.9000 |",
    "one at a time, of smaller and shorter runs (`epochs` 2); test had no say.",
    "| 0.5 | 1.0000 | | 1.0 | 0.9500 |",
    "| upside down | 0.8750 | 12.50 % | 25.00 % | 0.00 % | low confidence 2 |",
    "| blank pages | 4 | 75.00 % | blank 3 |",
    "Whose it is.",
)


@pytest.fixture
def measured(exported_model: Bundle, evaluation: Evaluation, tmp_path: Path) -> Path:
    """A bundle's folder with the text of a card, attribution, and every figure that a manifest may state."""
    directory = tmp_path / "measured"
    shutil.copytree(exported_model.directory, directory)
    metrics = {split: evaluation.measure(LABELS, 0.9) | {"strange": 0.0123} for split in ("validation", "test")}
    note = DataNote(name="lines", images={"test": 24}, fingerprints={"test": "c0ffee"})
    write_manifest(directory, exported_model.manifest.model_copy(update={"metrics": metrics, "notes": NOTES, "data": note}))
    (directory / "MODEL_CARD.template.md").write_text("# Card\n\n" + "\n\n".join(f"${name}" for name in SECTIONS))
    (directory / "ATTRIBUTION.md").write_text("Whose it is.\n")
    return directory


@pytest.fixture
def results(measured: Path) -> Path:
    """What was measured beside the bundle's own metrics."""
    folder = measured / "results"
    checksum = manifest_sha256(load_bundle(measured))
    answers = Answers(images=8, reasons={"low_confidence": 2}, accuracy=0.875, changed=0.125, error_when_sure=0.0)
    Robustness(bundle_sha256=checksum, seed=0, variations={"upside down": answers}).write(folder / "robustness.json")
    kinds = {"blank_pages": Noticed(images=4, reasons={"blank": 3})}
    OddInputs(bundle_sha256=checksum, kinds=kinds).write(folder / "odd_inputs.json")
    write_unseen_sources(folder, {"processes": "8", "epochs": "9", "target_error": "0.005"})
    write_unseen_sources(folder, {"epochs": "2", "augmentation": "0.5"}, name="recipes/half.json", right=10)
    write_unseen_sources(folder, {"epochs": "2", "augmentation": "1.0"}, name="recipes/full.json", right=8)
    return folder


def write_unseen_sources(
    folder: Path, parameters: dict[str, str], *, name: str = "unseen_sources.json", right: int = 9
) -> None:
    sources = {"github.com/a/b": Counted(images=10, right=right), "github.com/a/c": Counted(images=30, right=30)}
    UnseenSources(parameters=parameters, folds=2, sources=sources).write(folder / name)


def test_the_card_states_what_was_measured(measured: Path, results: Path) -> None:
    card = render_card(measured, results)
    unwrapped = card.replace("\n", " ")
    assert [figure for figure in FIGURES if figure not in unwrapped] == []


def test_what_was_not_measured_is_left_out(measured: Path) -> None:
    manifest = load_bundle(measured).manifest
    kept = ("images", "accuracy", "coverage", "error_when_sure", "by_class", "confusion_matrix")
    few = {split: {key: metrics[key] for key in kept} for split, metrics in manifest.metrics.items()}
    changes: dict[str, Any] = {"metrics": few, "notes": {"architecture": "MobileNetV2"}, "data": None}
    write_manifest(measured, manifest.model_copy(update=changes))
    card = render_card(measured, measured / "results")
    assert "\n\n\n" not in card
    for absent in (
        "None",
        "$",
        "Robustness",
        "never seen",
        "strange",
        "Exports",
        "by century",
        "Brier",
        "fingerprint",
        "value",
    ):
        assert absent not in card


def test_another_recipe_for_the_unseen_sources_is_told(measured: Path, results: Path) -> None:
    write_unseen_sources(results, {"epochs": "4"})
    assert "Their recipe differed from this model's: `epochs` 4." in render_card(measured, results).replace("\n", " ")


@pytest.mark.parametrize("name", ["robustness.json", "odd_inputs.json"])
def test_results_of_another_model_are_refused(measured: Path, results: Path, name: str) -> None:
    text = (results / name).read_text()
    (results / name).write_text(text.replace(manifest_sha256(load_bundle(measured)), "0" * 64))
    with pytest.raises(ResultsOfAnotherModel, match="measured on another model"):
        render_card(measured, results)


def test_what_are_no_results_is_refused(measured: Path, results: Path) -> None:
    (results / "robustness.json").write_text("{}")
    with pytest.raises(ResultsInvalid, match=r"robustness\.json"):
        render_card(measured, results)


def test_a_bundle_without_figures_is_refused(measured: Path, exported_model: Bundle) -> None:
    write_manifest(measured, exported_model.manifest)
    with pytest.raises(NotMeasured, match="no figures of its test split"):
        render_card(measured, measured / "results")


@pytest.mark.parametrize("name", ["MODEL_CARD.template.md", "ATTRIBUTION.md"])
def test_a_card_without_its_text_is_refused(measured: Path, name: str) -> None:
    (measured / name).unlink()
    with pytest.raises(NoCardText, match=name):
        render_card(measured, measured / "results")


def test_the_command_writes_the_card_beside_the_bundle(measured: Path, results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["training", "card", str(measured)])
    with pytest.raises(SystemExit) as left:
        __main__.main()
    assert not left.value.code
    assert (measured / CARD).read_text() == render_card(measured, results)


def test_a_refusal_is_one_sentence(measured: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    (measured / "ATTRIBUTION.md").unlink()
    monkeypatch.setattr(sys, "argv", ["training", "card", str(measured)])
    with pytest.raises(SystemExit) as left:
        __main__.main()
    assert left.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_no_package_for_training_is_needed() -> None:
    refused = "sys.modules.update(dict.fromkeys(['torch', 'torchvision', 'datasets', 'sklearn', 'onnx', 'matplotlib']))"
    subprocess.run([sys.executable, "-c", f"import sys; {refused}; import training.card, training.__main__"], check=True)
