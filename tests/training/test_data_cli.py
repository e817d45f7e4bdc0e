"""The commands of `penpress data`, from the command line to the files that they leave."""

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import Result
from safetensors.torch import save_file
from torchvision.models import mobilenet_v2
from typer.testing import CliRunner

from tests.training.importing.sources import CATMUS, CORTO, catmus_row, corto_row, drawn, write_parquet
from training.cli import data_commands
from training.data import open_tables
from training.errors import ImportUnlike, PictureInTwoSplits, TooFewDocuments
from training.importing.publish import read_report

TRAIN = "train-00000-of-00001.parquet"


def run(*arguments: object) -> Result:
    return CliRunner(env={"COLUMNS": "200"}).invoke(data_commands, [str(argument) for argument in arguments])


def succeed(*arguments: object) -> str:
    result = run(*arguments)
    if result.exception:
        raise result.exception
    return result.output


def test_catmus_from_parquet_files(tmp_path: Path) -> None:
    folder = write_parquet(tmp_path / "hub" / TRAIN, [catmus_row(number) for number in range(100)], CATMUS)
    out = tmp_path / "out"
    shown = succeed("import", "catmus", "--parquet", folder, "--out", out, "--shares", "1/1/1", "--seed", 2)
    assert "handwritten" in shown
    tables = open_tables(out)
    assert sum(len(table) for table in tables.values()) == 100
    assert all(len(table) for table in tables.values())
    again = succeed("import", "catmus", "--parquet", folder, "--out", out, "--shares", "1/1/1", "--seed", 2)
    assert "is complete; nothing was left to do" in again
    with pytest.raises(ImportUnlike, match="licence"):
        succeed("import", "catmus", "--parquet", folder, "--out", out, "--licence", "CC0-1.0")


def test_column_names_are_options(tmp_path: Path) -> None:
    folder = write_parquet(tmp_path / "hub" / TRAIN, [catmus_row(0, genre="printed", region="D 1")], CATMUS)
    options = ("--label-column", "genre", "--group-column", "region", "--source-column", "language", "--splits", "source")
    succeed("import", "catmus", "--parquet", folder, "--out", tmp_path / "out", *options)
    (row,) = open_tables(tmp_path / "out")["train"]
    assert (row["label"], row["group"], row["source"]) == ("printed", "D 1", "CATMuS/modern")


def test_corto_from_parquet_files(tmp_path: Path) -> None:
    folder = write_parquet(tmp_path / "hub" / TRAIN, [corto_row(number) for number in range(4)], CORTO)
    shown = succeed("import", "corto", "--parquet", folder, "--out", tmp_path / "out", "--licence", "MIT")
    assert "Images that name no document: 4." in shown
    assert set(open_tables(tmp_path / "out")["train"]["licence"]) == {"MIT"}


def test_a_folder_whose_copies_leave_train(tmp_path: Path) -> None:
    for file, number in (("train/printed/a.png", 0), ("train/printed/b.png", 1), ("test/printed/c.png", 0)):
        (tmp_path / "lines" / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "lines" / file).write_bytes(drawn(number))
    arguments = ("import", "folder", tmp_path / "lines", "--out", tmp_path / "out", "--source", "mine")
    with pytest.raises(PictureInTwoSplits):
        succeed(*arguments)
    succeed(*arguments, "--drop-duplicates")
    report = read_report(tmp_path / "out")
    assert report
    assert report.images == {"train": {"printed": 1}, "validation": {"printed": 0}, "test": {"printed": 1}}


@pytest.mark.parametrize("shares", ["80/20", "a/b/c", "0/1/1", "-1/1/1"])
def test_shares_that_are_none(tmp_path: Path, shares: str) -> None:
    assert run("import", "folder", tmp_path, "--out", tmp_path / "out", f"--shares={shares}").exit_code == 2


def test_an_audit_leaves_a_list_and_a_page(
    tmp_path: Path, make_data_set: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With features that tell the truth, the one label that does not is found."""

    def change(split: str, row: dict[str, Any]) -> dict[str, Any]:
        wrong = row["file"] == "train/printed/3.png"
        return row | {"group": row["file"], "label": "handwritten" if wrong else row["label"]}

    def features(model: Any, samples: Any, *_: Any, **__: Any) -> Any:
        chance = np.random.default_rng(0)
        return np.array([chance.normal(size=8) + 9 * ("printed" in sample.name) for sample in samples], dtype=np.float32)

    monkeypatch.setattr("training.features.pooled_features", features)
    save_file(mobilenet_v2().state_dict(), tmp_path / "weights.safetensors")
    directory = make_data_set(images=20, change=change)
    arguments = ("audit", directory, "--out", tmp_path / "audit", "--weights", tmp_path / "weights.safetensors")
    assert "Labels to review: 1, in" in succeed(*arguments)
    with (tmp_path / "audit" / "review.csv").open() as file:
        assert [(row["file"], row["suggested"]) for row in csv.DictReader(file)] == [("train/printed/3.png", "printed")]
    assert (tmp_path / "audit" / "review.html").stat().st_size > 1000
    assert "Labels to review: 0, in" in succeed(*arguments, "--split", "test", "--folds", 2)
    assert run(*arguments, "--split", "dev").exit_code == 2


def test_an_audit_of_one_class_is_refused_before_anything_is_computed(
    tmp_path: Path, make_data_set: Callable[..., Path]
) -> None:
    directory = make_data_set(change=lambda split, row: row if (split, row["label"]) == ("test", "handwritten") else None)
    with pytest.raises(TooFewDocuments, match="There are no printed images here"):
        succeed("audit", directory, "--out", tmp_path / "audit")
    assert not (tmp_path / "audit").exists()
