"""The model that ships: whole, small, and as good as its card says."""

import csv
import os
import random
from pathlib import Path

import pytest

from inference.bundle import load_bundle
from inference.classifier import Classifier
from inference.images import ImageLimits, open_document
from inference.preprocess import prepare
from registry.starter import STARTER
from training.card import CARD, render_card
from training.card_sections import repository

RESULTS = STARTER / "results"
TEST_DATA = Path(os.environ.get("PENPRESS_TEST_DATA", Path(__file__).parents[3] / "shared" / "data" / "lines"))
SAMPLE = 100


def test_the_bundle_is_whole() -> None:
    manifest = load_bundle(STARTER).manifest
    assert manifest.labels == ("handwritten", "printed")
    assert manifest.metrics["test"]["accuracy"] >= 0.97
    assert "/" not in manifest.notes["parameters"]["data"]


def test_the_card_states_the_measured_accuracy() -> None:
    card = (STARTER / CARD).read_text(encoding="utf-8")
    assert f"{load_bundle(STARTER).manifest.metrics['test']['accuracy']:.4f}" in card


def test_the_card_can_be_rendered() -> None:
    assert "$" not in render_card(STARTER, RESULTS)


def test_the_card_is_what_its_figures_render() -> None:
    assert (STARTER / CARD).read_text(encoding="utf-8") == render_card(STARTER, RESULTS), "`make card` renders it anew"


def test_every_source_is_attributed() -> None:
    attribution = (STARTER / "ATTRIBUTION.md").read_text(encoding="utf-8")
    sources = load_bundle(STARTER).manifest.metrics["test"]["accuracy_by_source"]
    assert [source for source in sources if f"| {repository(source)} |" not in attribution] == []


@pytest.mark.skipif(not (TEST_DATA / "metadata.csv").is_file(), reason="the data set is not here; PENPRESS_TEST_DATA names it")
def test_a_sample_of_the_test_lines_is_told_apart() -> None:
    with (TEST_DATA / "metadata.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == "test"]
    classifier = Classifier(load_bundle(STARTER), device="cpu")
    drawn = random.Random(0).sample(rows, SAMPLE)
    right = 0
    for row in drawn:
        with open_document((TEST_DATA / row["file"]).read_bytes(), ImageLimits()) as document:
            pixels = prepare(document.page(1, at_least=(classifier.spec.width, classifier.spec.height)), classifier.spec)
        right += classifier.classify([pixels])[0].predicted_class == row["label"]
    assert right / SAMPLE >= 0.95
