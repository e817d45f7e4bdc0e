import io
from pathlib import Path

from rich.console import Console

from training.importing.publish import Report
from training.importing.report import remarks, show

CLEAN = Report(
    options={},
    images={"train": {"printed": 5}, "validation": {"printed": 2}, "test": {"printed": 1}},
    bad_rows={},
    duplicates=0,
    left_out=0,
    lone=0,
)


def shown(report: Report) -> str:
    file = io.StringIO()
    show(report, Path("out"), Console(file=file, width=100))
    return file.getvalue()


def test_images_are_counted_with_their_sums() -> None:
    text = shown(CLEAN)
    assert "printed" in text
    assert text.rstrip().splitlines()[-2].split()[1::2] == ["all", "8", "8"]
    assert "bad" not in text


def test_what_deserves_attention_is_said() -> None:
    report = Report(
        {}, {"train": {"printed": 5}, "validation": {"printed": 0}, "test": {"printed": 0}}, {"empty_file": 2}, 3, 1, 4
    )
    text = shown(report)
    assert "empty_file" in text
    assert "out/bad_rows.csv" in text
    copies, left_out, lone, empty = remarks(report, Path("out"))
    assert "3, listed in out/duplicates.csv" in copies
    assert left_out.endswith(": 1.")
    assert "no document: 4." in lone
    assert "no images in validation and test" in empty
