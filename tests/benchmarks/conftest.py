"""Test lines for the tiny model: dark ones are handwritten, light ones printed."""

import csv
from pathlib import Path

import pytest

from tests.pictures import DARK, GREY, LIGHT, RIBBON, png


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A folder with `lines`, of which one of four is labelled wrongly, and with `odd` and `pages`."""
    root = tmp_path / "data"
    lines = [("handwritten", DARK), ("handwritten", DARK), ("printed", LIGHT), ("printed", DARK)]
    rows = [{"file": f"{number}.png", "split": "test", "label": label} for number, (label, _) in enumerate(lines)]
    _write(root / "lines", [*rows, {"file": "missing.png", "split": "train", "label": "printed"}])
    for number, (_, level) in enumerate(lines):
        (root / "lines" / f"{number}.png").write_bytes(png(level))
    _write(root / "odd", [{"file": "ribbon.png", "kind": "ribbons"}, {"file": "faint.png", "kind": "faint_lines"}])
    (root / "odd" / "ribbon.png").write_bytes(png(DARK, size=RIBBON))
    (root / "odd" / "faint.png").write_bytes(png(GREY))
    _write(root / "pages", [{"file": "page.png", "label": "printed"}])
    (root / "pages" / "page.png").write_bytes(png(LIGHT))
    return root


def _write(folder: Path, rows: list[dict[str, str]]) -> None:
    folder.mkdir(parents=True)
    with (folder / "metadata.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
