"""`penpress registry compare`: bundles and versions on a labelled data set."""

import csv
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

import datasets
import numpy as np
import onnx
import pytest
from datasets import Dataset, DatasetDict, Features, Value
from datasets import Image as ImageColumn
from onnx import numpy_helper

from inference.bundle import file_sha256
from registry.catalog import Catalog
from store.settings import Settings
from tests.penpress.conftest import Penpress
from tests.pictures import DARK, LIGHT, png
from tests.tiny_bundle import write_tiny_bundle
from training.data import COLUMNS, SPLITS


@pytest.fixture
def data_set(tmp_path: Path) -> Path:
    """Two dark handwritten and two light printed pages in each split."""
    return write_data_set(tmp_path / "lines", dict.fromkeys(SPLITS, range(4)))


def write_data_set(folder: Path, places: Mapping[str, range]) -> Path:
    datasets.disable_progress_bars()  # they would be taken for what the command says
    columns = Features({name: Value("string") for name in COLUMNS} | {"image": ImageColumn(decode=False)})
    tables = DatasetDict()
    for split in SPLITS:
        rows = [row(split, place) for place in places[split]]
        tables[split] = Dataset.from_dict({name: [each[name] for each in rows] for name in COLUMNS}, features=columns)
    tables.save_to_disk(folder, num_shards=dict.fromkeys(SPLITS, 1))
    return folder


def row(split: str, place: int) -> dict[str, object]:
    data = png(DARK if place < 2 else LIGHT, size=(100 + place, 40 + SPLITS.index(split)))
    known = {
        "image": {"bytes": data, "path": None},
        "file": f"{split}-{place}.png",
        "label": "handwritten" if place < 2 else "printed",
        "group": f"{split}-{place}",
        "sha256": hashlib.sha256(data).hexdigest(),
    }
    return dict.fromkeys(COLUMNS, "") | known


@pytest.fixture
def contrary_bundle(tmp_path: Path) -> Path:
    """A model that takes dark pages for print."""
    directory = write_tiny_bundle(tmp_path / "contrary")
    model = onnx.load(directory / "model.onnx")
    for tensor in model.graph.initializer:
        if tensor.name in ("weight", "bias"):
            tensor.CopyFrom(numpy_helper.from_array(np.negative(numpy_helper.to_array(tensor)), tensor.name))
    onnx.save(model, directory / "model.onnx")
    manifest = json.loads((directory / "bundle.json").read_text())
    manifest["files"] = {"model.onnx": file_sha256(directory / "model.onnx")}
    (directory / "bundle.json").write_text(json.dumps(manifest))
    return directory


def test_a_version_and_a_folder_with_the_same_model_agree(penpress: Penpress, tiny_bundle: Path, data_set: Path) -> None:
    Catalog(Settings().mlflow_uri).register_bundle(tiny_bundle, parameters={}, tags={})
    outcome = penpress("registry", "compare", "1", tiny_bundle, data_set)
    assert outcome.code == 0
    for words in ("accuracy of 1", "1.0000 (4 right)", "McNemar's exact test", "p = 1"):
        assert words in outcome.out


def test_disagreements_are_listed_and_written(
    penpress: Penpress, tiny_bundle: Path, contrary_bundle: Path, data_set: Path, tmp_path: Path
) -> None:
    options = ("--split", "validation", "--out", "differences.csv")
    outcome = penpress("registry", "compare", tiny_bundle, contrary_bundle, data_set, *options)
    assert outcome.code == 0
    for words in ("0.0000 (0 right)", "agreement", "p = 0.125", "validation-3.png"):
        assert words in outcome.out
    with (tmp_path / "differences.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["file"], row["truth"], row["a_class"], row["b_class"]) for row in rows] == [
        ("validation-0.png", "handwritten", "handwritten", "printed"),
        ("validation-1.png", "handwritten", "handwritten", "printed"),
        ("validation-2.png", "printed", "printed", "handwritten"),
        ("validation-3.png", "printed", "printed", "handwritten"),
    ]
    assert float(rows[0]["a_confidence"]) > 0.9


def test_a_data_set_may_have_but_one_split_and_one_class(penpress: Penpress, tiny_bundle: Path, tmp_path: Path) -> None:
    write_data_set(tmp_path / "corto", {split: range(2 if split == "test" else 0) for split in SPLITS})
    assert "1.0000 (2 right)" in penpress("registry", "compare", tiny_bundle, tiny_bundle, "corto").out
    outcome = penpress("registry", "compare", tiny_bundle, tiny_bundle, "corto", "--split", "train")
    assert (outcome.code, outcome.err) == (2, "The split train of corto has no handwritten or printed images.\n")


def test_a_comparison_that_cannot_be_made_is_one_sentence(penpress: Penpress, tiny_bundle: Path, data_set: Path) -> None:
    for arguments in (
        (tiny_bundle, "7", data_set),
        (tiny_bundle, "nowhere", data_set),
        (tiny_bundle, tiny_bundle, "nowhere"),
        (tiny_bundle, tiny_bundle, data_set, "--split", "holdout"),
        (tiny_bundle, data_set, data_set),
    ):
        outcome = penpress("registry", "compare", *arguments)
        assert (outcome.code, outcome.err.count("\n")) == (2, 1), outcome.err


def test_a_file_that_cannot_be_written_is_one_sentence(penpress: Penpress, tiny_bundle: Path, data_set: Path) -> None:
    outcome = penpress("registry", "compare", tiny_bundle, tiny_bundle, data_set, "--out", "nowhere/differences.csv")
    assert (outcome.code, outcome.err) == (
        2,
        "The disagreements cannot be written to nowhere/differences.csv: No such file or directory.\n",
    )
