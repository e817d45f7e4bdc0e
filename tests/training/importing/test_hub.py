"""CATMuS and Corto from parquet files of the schema that they have on the hub."""

from pathlib import Path

import pytest

from tests.training.importing.sources import CATMUS, CORTO, Row, catmus_row, corto_row, drawn, task, write_parquet
from training.data import open_tables
from training.errors import PictureInTwoSplits, SourceUnreadable
from training.importing.catmus import catmus, century
from training.importing.corto import corto
from training.importing.hub import HubSource, Place
from training.importing.run import import_data
from training.progress import silent

COLUMNS = {
    "image": "im",
    "label": "writing_type",
    "group": "shelfmark",
    "source": "project",
    "not_before": "not_before",
    "not_after": "not_after",
}


def catmus_source(folder: Path, **columns: str) -> HubSource:
    return catmus(Place("CATMuS/modern", folder=folder), COLUMNS | columns, "CC-BY-4.0")


def write_catmus(folder: Path, rows: list[Row], name: str = "train-00000-of-00001.parquet") -> Path:
    return write_parquet(folder / "catmus" / name, rows, CATMUS)


def write_corto(folder: Path) -> Path:
    for place, split in enumerate(("train", "valid", "test")):
        rows = [corto_row(10 * place + number) for number in range(4)]
        write_parquet(folder / "corto" / f"{split}-00000-of-00001.parquet", rows, CORTO)
    return folder / "corto"


def test_catmus_says_what_its_columns_say(tmp_path: Path) -> None:
    source = catmus_source(write_catmus(tmp_path, [catmus_row(0), catmus_row(1, writing_type="typewritten")]))
    assert source.total() == 2
    first, second = source.rows(None)
    assert (first.file, first.data, first.label, first.split) == ("train/000000", drawn(0), "handwritten", "train")
    assert (first.group, first.source, first.century, first.licence) == ("BnF, fr. 0", "Gallicorpora", "18", "CC-BY-4.0")
    assert second.label == "typewritten"


def test_lines_without_a_shelfmark_are_one_document_for_each_project(tmp_path: Path) -> None:
    rows = [catmus_row(0, shelfmark=None), catmus_row(1, shelfmark=" "), catmus_row(2, shelfmark=None, project="Other")]
    groups = [row.group for row in catmus_source(write_catmus(tmp_path, rows)).rows(None)]
    assert groups == ["no shelfmark in Gallicorpora"] * 2 + ["no shelfmark in Other"]


@pytest.mark.parametrize(
    ("not_before", "not_after", "expected"),
    [(1701, 1800, "18"), (1600, 1601, "16-17"), (1900, None, "19"), ("1850", "1910", "19-20"), (None, "unknown", "")],
)
def test_a_century_of_two_years(not_before: object, not_after: object, expected: str) -> None:
    assert century(not_before, not_after) == expected


def test_an_empty_cell_is_a_row_without_bytes(tmp_path: Path) -> None:
    (row,) = catmus_source(write_catmus(tmp_path, [catmus_row(0, im=None)])).rows(None)
    assert row.data == b""


def test_reading_goes_on_behind_any_row(tmp_path: Path) -> None:
    write_catmus(tmp_path, [catmus_row(number) for number in range(3)], "train-00000-of-00002.parquet")
    write_catmus(tmp_path, [catmus_row(number) for number in range(3, 5)], "train-00001-of-00002.parquet")
    folder = write_catmus(tmp_path, [catmus_row(number) for number in range(5, 8)], "test-00000-of-00001.parquet")
    everything = [row.file for row in catmus_source(folder).rows(None)]
    assert everything == [f"train/{number:06d}" for number in range(5)] + [f"test/{number:06d}" for number in range(3)]
    source, seen = catmus_source(folder), []
    for row in source.rows(None):
        seen.append(row.file)
        again = catmus_source(folder)
        assert seen + [behind.file for behind in again.rows(source.position())] == everything


def test_a_column_that_is_missing_is_named(tmp_path: Path) -> None:
    folder = write_catmus(tmp_path, [catmus_row(0)])
    with pytest.raises(SourceUnreadable, match=r"no column kind, but im, writing_type.*--label-column"):
        list(catmus_source(folder, label="kind").rows(None))
    (row,) = catmus_source(folder, label="genre", group="region").rows(None)
    assert row.label == ""


def test_a_folder_without_parquet_and_a_broken_file(tmp_path: Path) -> None:
    with pytest.raises(SourceUnreadable, match="is no parquet file"):
        catmus_source(tmp_path).total()
    (tmp_path / "train-0.parquet").write_bytes(b"PAR1")
    with pytest.raises(SourceUnreadable, match="cannot be read: "):
        catmus_source(tmp_path).total()


def test_the_hub_out_of_reach_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*_: object, **__: object) -> None:
        raise ConnectionError("Couldn't reach the hub.\nMany more lines.")

    monkeypatch.setattr("datasets.load_dataset", unreachable)
    with pytest.raises(SourceUnreadable, match=r"^CATMuS/modern cannot be read: Couldn't reach the hub\.$"):
        list(catmus(Place("CATMuS/modern"), COLUMNS, "").rows(None))


def test_catmus_is_split_by_shelfmark(tmp_path: Path) -> None:
    folder = write_catmus(tmp_path, [catmus_row(number) for number in range(200)])
    import_data(task(catmus_source(folder), by_group=True, shares=(2, 1, 1)), tmp_path / "out", silent)
    groups = [set(table.data["group"].to_pylist()) for table in open_tables(tmp_path / "out").values()]
    assert sum(map(len, groups)) == len(set().union(*groups)) == 20
    assert all(groups)


def test_corto_keeps_its_splits_and_every_picture_is_a_document(tmp_path: Path) -> None:
    source = corto(Place("corto-ai/handwritten-text", folder=write_corto(tmp_path)), {"image": "image"}, "")
    report = import_data(task(source), tmp_path / "out", silent)
    assert report.images == {split: {"handwritten": 4} for split in ("train", "validation", "test")}
    assert report.lone == 12
    table = open_tables(tmp_path / "out")["validation"]
    assert len(set(table.data["group"].to_pylist())) == 4
    assert table.data["file"].to_pylist()[0] == "validation/000000"


def test_a_picture_of_corto_in_two_splits_is_refused_as_one(tmp_path: Path) -> None:
    folder = write_corto(tmp_path)
    write_parquet(folder / "test-00001-of-00002.parquet", [corto_row(0)], CORTO)
    source = corto(Place("corto-ai/handwritten-text", folder=folder), {"image": "image"}, "")
    with pytest.raises(PictureInTwoSplits):
        import_data(task(source), tmp_path / "out", silent)
