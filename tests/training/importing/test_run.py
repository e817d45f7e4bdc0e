"""Whole imports: what arrives, what is refused, and what an interruption costs."""

import csv
import subprocess
import sys
import time
from pathlib import Path

import pytest
from datasets import are_progress_bars_disabled, enable_progress_bars

from tests.training.importing.sources import GivenRows, drawn, given_row, task
from training.data import open_tables, read_data_set
from training.errors import (
    GroupInTwoSplits,
    ImportRunning,
    ImportUnlike,
    NothingImported,
    PictureInTwoSplits,
)
from training.importing import parts
from training.importing.parts import opened_parts
from training.importing.run import import_data
from training.progress import silent

LABELS = ("handwritten", "printed")
ROOT = Path(__file__).parents[3]
ROWS = [given_row(number) for number in range(60)]


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "_FULL_ROWS", 10)
    monkeypatch.setattr("training.importing.run._WINDOW", 5)


def files_in(out: Path) -> list[str]:
    return [file for table in open_tables(out).values() for file in table.data["file"].to_pylist()]


def test_an_import_is_a_data_set_for_training(tmp_path: Path) -> None:
    report = import_data(task(GivenRows(ROWS)), tmp_path / "out", silent)
    splits = read_data_set(tmp_path / "out", LABELS)
    assert {split: len(samples) for split, samples in splits.items()} == {"train": 20, "validation": 20, "test": 20}
    assert report.images["test"] == {"handwritten": 10, "printed": 10}
    assert splits["train"][3].read() == drawn(3)
    assert not (tmp_path / "out.importing").exists()


def test_no_foreign_bars_are_drawn_between_ours(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    enable_progress_bars()  # another test may have left them otherwise
    import_data(task(GivenRows(ROWS)), tmp_path / "out", silent)
    assert capsys.readouterr() == ("", "")
    assert not are_progress_bars_disabled()


def test_an_interrupted_import_goes_on_where_it_was(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        import_data(task(GivenRows(ROWS, breaks_at=37)), tmp_path / "out", silent)
    assert not (tmp_path / "out").exists()
    source = GivenRows(ROWS)
    import_data(task(source), tmp_path / "out", silent)
    assert source.given == [row.file for row in ROWS[30:]]
    assert sorted(files_in(tmp_path / "out")) == sorted(row.file for row in ROWS)


def test_a_part_without_its_note_does_not_count(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        import_data(task(GivenRows(ROWS, breaks_at=37)), tmp_path / "out", silent)
    work = tmp_path / "out.importing"
    (work / "part-00002.json").unlink()
    (work / "part-00002.arrow").write_bytes(b"half")
    (work / "part-00002.json.writing").write_text("{")
    (work / "ready").mkdir()
    (work / "ready" / "half").touch()
    import_data(task(GivenRows(ROWS)), tmp_path / "out", silent)
    assert sorted(files_in(tmp_path / "out")) == sorted(row.file for row in ROWS)
    assert not (tmp_path / "out" / "half").exists()


_SLOW_IMPORT = """
import sys, time
from pathlib import Path
from tests.training.importing.sources import GivenRows, given_row, task
from training.importing import parts, run
from training.progress import silent

class Slow(GivenRows):
    def rows(self, after):
        for row in super().rows(after):
            time.sleep(0.02)
            yield row

parts._FULL_ROWS, run._WINDOW = 10, 5
run.import_data(task(Slow([given_row(number) for number in range(60)])), Path(sys.argv[1]), silent)
"""


def test_a_kill_leaves_nothing_half_written_that_counts(tmp_path: Path) -> None:
    out, work = tmp_path / "out", tmp_path / "out.importing"
    process = subprocess.Popen([sys.executable, "-c", _SLOW_IMPORT, str(out)], cwd=ROOT)
    try:
        while len(list(work.glob("part-*.json"))) < 2:
            assert process.poll() is None
            time.sleep(0.01)
    finally:
        process.kill()
        process.wait()
    assert not out.exists()
    source = GivenRows(ROWS)
    import_data(task(source), out, silent)
    assert 0 < len(source.given) < 50
    assert sorted(files_in(out)) == sorted(row.file for row in ROWS)


def test_a_complete_import_is_left_alone(tmp_path: Path) -> None:
    first = import_data(task(GivenRows(ROWS)), tmp_path / "out", silent)
    (tmp_path / "out.importing").mkdir()
    source = GivenRows(ROWS)
    assert import_data(task(source), tmp_path / "out", silent).images == first.images
    assert source.given == []
    assert not (tmp_path / "out.importing").exists()


def test_other_options_for_the_same_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        import_data(task(GivenRows(ROWS, breaks_at=37)), tmp_path / "out", silent)
    with pytest.raises(ImportUnlike, match=r"begun with other options \(rows\)"):
        import_data(task(GivenRows(ROWS[:-1])), tmp_path / "out", silent)
    import_data(task(GivenRows(ROWS)), tmp_path / "out", silent)
    with pytest.raises(ImportUnlike, match=r"made with other options \(seed\)"):
        import_data(task(GivenRows(ROWS), seed=2), tmp_path / "out", silent)


def test_options_may_be_mended_before_anything_was_read(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        import_data(task(GivenRows(ROWS[:-1], breaks_at=0)), tmp_path / "out", silent)
    import_data(task(GivenRows(ROWS)), tmp_path / "out", silent)
    assert len(files_in(tmp_path / "out")) == 60


def test_a_folder_with_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").touch()
    with pytest.raises(ImportUnlike, match="not empty"):
        import_data(task(GivenRows(ROWS)), tmp_path, silent)


def test_two_imports_into_one_folder_are_refused(tmp_path: Path) -> None:
    with opened_parts(tmp_path / "out", {}), pytest.raises(ImportRunning):
        import_data(task(GivenRows(ROWS)), tmp_path / "out", silent)


def test_bad_rows_are_listed_and_not_fatal(tmp_path: Path) -> None:
    bad = [
        given_row(70, data=None),
        given_row(71, data=b""),
        given_row(72, data=drawn(72)[:-20]),
        given_row(73, data=b"a letter"),
        given_row(74, label="painted"),
    ]
    report = import_data(task(GivenRows([*ROWS, *bad])), tmp_path / "out", silent)
    reasons = ["missing_file", "empty_file", "truncated_image", "not_an_image", "unknown_label"]
    assert report.bad_rows == dict.fromkeys(reasons, 1)
    with (tmp_path / "out" / "bad_rows.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["file"], row["reason"]) for row in rows] == list(zip([row.file for row in bad], reasons, strict=True))


def test_nothing_good_is_an_error_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(NothingImported, match=r"1 not_an_image\. The first is 0\.png"):
        import_data(task(GivenRows([given_row(0, data=b"a letter")])), tmp_path / "out", silent)
    with pytest.raises(NothingImported, match="no rows"):
        import_data(task(GivenRows([])), tmp_path / "out", silent)
    assert list(tmp_path.iterdir()) == []


def test_typewriting_keeps_its_label_and_training_leaves_it_out(tmp_path: Path) -> None:
    typed = [given_row(number, label="typewritten") for number in range(5)]
    report = import_data(task(GivenRows([*typed, *ROWS[5:]])), tmp_path / "out", silent)
    assert report.images["train"] == {"handwritten": 5, "printed": 10, "typewritten": 5}
    assert open_tables(tmp_path / "out")["train"].data["label"].to_pylist()[:6] == ["typewritten"] * 5 + ["handwritten"]
    assert len(read_data_set(tmp_path / "out", LABELS)["train"]) == 15


def test_a_document_in_two_splits_is_refused(tmp_path: Path) -> None:
    rows = [*ROWS, given_row(70, group="document 0", split="test")]
    with pytest.raises(GroupInTwoSplits, match=r"document 0 is in train and in test.*--splits group"):
        import_data(task(GivenRows(rows)), tmp_path / "out", silent)
    assert not (tmp_path / "out").exists()
    report = import_data(task(GivenRows(rows), by_group=True), tmp_path / "out", silent)
    assert sum(sum(counts.values()) for counts in report.images.values()) == 61


@pytest.mark.parametrize("image_format", ["PNG", "BMP"])
def test_a_picture_in_two_splits_is_refused_or_left_out_of_train(tmp_path: Path, image_format: str) -> None:
    twin = given_row(50, file="twin", data=drawn(0, image_format))
    assert twin.split == "test"
    rows = [*ROWS, twin]
    with pytest.raises(PictureInTwoSplits, match=r"0\.png in train and twin in test.*--drop-duplicates"):
        import_data(task(GivenRows(rows)), tmp_path / "out", silent)
    source = GivenRows(rows)
    report = import_data(task(source, drop_duplicates=True), tmp_path / "out", silent)
    assert source.given == []  # what was read before the refusal is not read again
    assert (report.left_out, report.duplicates) == (1, 1)
    assert "twin" in files_in(tmp_path / "out")
    assert "0.png" not in files_in(tmp_path / "out")


def test_copies_within_a_split_are_reported_and_stay(tmp_path: Path) -> None:
    report = import_data(task(GivenRows([*ROWS, given_row(1, file="copy")])), tmp_path / "out", silent)
    assert (report.left_out, report.duplicates) == (0, 1)
    with (tmp_path / "out" / "duplicates.csv").open() as file:
        assert [row["file"] for row in csv.DictReader(file)] == ["1.png", "copy"]


def test_a_subset_is_one_of_whole_documents(tmp_path: Path) -> None:
    rows = [given_row(number) for number in range(300)]
    whole_task = task(GivenRows(rows))
    half = type(whole_task)("given", whole_task.source, whole_task.choices, subset=0.5)
    import_data(half, tmp_path / "out", silent)
    groups = [group for table in open_tables(tmp_path / "out").values() for group in table.data["group"].to_pylist()]
    assert 5 < len(set(groups)) < 25
    assert len(groups) == 10 * len(set(groups))
