import csv
import os
import random
from pathlib import Path

import pytest

from tests.training.importing.sources import drawn, task
from training.data import open_tables
from training.errors import SourceUnreadable
from training.importing.folder import FolderSource
from training.importing.rows import RawRow
from training.importing.run import import_data
from training.progress import silent

TEST_DATA = Path(os.environ.get("PENPRESS_TEST_DATA", Path(__file__).parents[4] / "shared" / "data" / "lines"))
SAMPLE = 60


def write(root: Path, *files: str) -> None:
    for number, file in enumerate(files):
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).write_bytes(drawn(number))


def rows_of(path: Path, **options: str) -> list[RawRow]:
    return list(FolderSource(path, **options).rows(None))


def test_folders_say_split_class_and_document(tmp_path: Path) -> None:
    write(tmp_path, "train/printed/a.png", "test/Handwritten/register 7/b.png", "printed/c.png")
    (tmp_path / ".cache").mkdir()
    (tmp_path / ".cache" / "index").touch()
    found = {row.file: (row.split, row.label, row.group) for row in rows_of(tmp_path)}
    assert found == {
        "train/printed/a.png": ("train", "printed", ""),
        "test/Handwritten/register 7/b.png": ("test", "handwritten", "register 7"),
        "printed/c.png": ("", "printed", ""),
    }


def test_metadata_says_the_rest(tmp_path: Path) -> None:
    write(tmp_path, "train/printed/a.png", "train/printed/b.png")
    (tmp_path / "metadata.csv").write_text(
        "file,split,label,source_repo,document,century,licence\n"
        "train/printed/a.png,train,printed,example.org/x,D 1,18,CC0-1.0\n"
        "train/printed/gone.png,train,printed,example.org/x,D 1,18,CC0-1.0\n"
    )
    first, second, gone = rows_of(tmp_path, source="mine", licence="CC-BY-4.0")
    assert (first.group, first.source, first.century, first.licence) == ("example.org/x/D 1", "example.org/x", "18", "CC0-1.0")
    assert (second.group, second.source, second.licence) == ("", "mine", "CC-BY-4.0")
    assert gone.data is None


def test_metadata_needs_no_label_where_the_folder_has_it(tmp_path: Path) -> None:
    write(tmp_path, "printed/a.png")
    (tmp_path / "metadata.csv").write_text("file,group\nprinted/a.png,D 1\n")
    (row,) = rows_of(tmp_path)
    assert (row.label, row.group) == ("printed", "D 1")


def test_a_listing_says_everything(tmp_path: Path) -> None:
    write(tmp_path, "scans/a.png", "scans/b.png")
    (tmp_path / "list.csv").write_text("file,label,split,group\nscans/a.png,Printed,test,D 1\nscans/b.png,handwritten,,D 2\n")
    first, second = rows_of(tmp_path / "list.csv", source="mine")
    assert (first.data, first.label, first.split, first.group, first.source) == (drawn(0), "printed", "test", "D 1", "mine")
    assert second.split == ""


@pytest.mark.parametrize(
    ("listing", "sentence"),
    [
        ("path,label\n", "has no column file"),
        ("file,group\na.png,D 1\n", "has no column label"),
        ("file,label,split\na.png,printed,dev\n", r"list\.csv, line 2: there is no split dev"),
    ],
)
def test_a_listing_that_cannot_be_read(tmp_path: Path, listing: str, sentence: str) -> None:
    (tmp_path / "list.csv").write_text(listing)
    with pytest.raises(SourceUnreadable, match=sentence):
        FolderSource(tmp_path / "list.csv")


@pytest.mark.parametrize("name", ["list.csv", "metadata.csv"])
def test_a_listing_in_another_encoding_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes("file,label\nBücher.png,printed\n".encode("cp1252"))
    with pytest.raises(SourceUnreadable, match=rf"{name} is not UTF-8; save it as CSV UTF-8\.$"):
        FolderSource(tmp_path if name == "metadata.csv" else tmp_path / name)


def test_a_file_that_changed_makes_another_source(tmp_path: Path) -> None:
    write(tmp_path, "train/printed/a.png")
    before = FolderSource(tmp_path).identity
    assert FolderSource(tmp_path).identity == before
    os.utime(tmp_path / "train/printed/a.png", (1, 1))
    assert FolderSource(tmp_path).identity != before


@pytest.mark.skipif(not (TEST_DATA / "metadata.csv").is_file(), reason="the data set is not here; PENPRESS_TEST_DATA names it")
def test_a_sample_of_the_lines(tmp_path: Path) -> None:
    with (TEST_DATA / "metadata.csv").open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        rows = random.Random(0).sample(list(reader), SAMPLE)
    root = tmp_path / "lines"
    for row in rows:
        (root / row["file"]).parent.mkdir(parents=True, exist_ok=True)
        (root / row["file"]).symlink_to(TEST_DATA / row["file"])
    with (root / "metadata.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, reader.fieldnames or ())
        writer.writeheader()
        writer.writerows(rows)
    report = import_data(task(FolderSource(root)), tmp_path / "out", silent)
    assert (report.bad_rows, report.lone) == ({}, 0)
    found = {(file, group) for table in open_tables(tmp_path / "out").values() for file, group in _names(table)}
    assert found == {(row["file"], f"{row['source_repo']}/{row['document']}") for row in rows}


def _names(table) -> zip:  # type: ignore[no-untyped-def, type-arg]  # a datasets.Dataset
    return zip(table.data["file"].to_pylist(), table.data["group"].to_pylist(), strict=True)
