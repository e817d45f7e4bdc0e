import base64
import csv
import hashlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from inference.bundle import InputSpec
from training.audit import Audit, Suspect, located
from training.data import read_data_set
from training.review import documents_table, suspects_table, write_list, write_page

LABELS = ("handwritten", "printed")


@pytest.fixture
def audit(make_data_set: Callable[..., Path]) -> Audit:
    """Three suspects, of a document whose name is no HTML."""

    def rename(split: str, row: dict[str, Any]) -> dict[str, Any]:
        return row | {"group": f"{split} <b>&"}

    images = located(read_data_set(make_data_set(change=rename), LABELS), ("train", "test"))
    suspects = [Suspect(image, "handwritten", "printed", {"handwritten": 0.01, "printed": 0.99}) for image in images[:3]]
    return Audit(images, suspects, 0.98)


def test_the_list_has_every_suspect(audit: Audit, tmp_path: Path) -> None:
    write_list(audit, LABELS, tmp_path / "review.csv")
    with (tmp_path / "review.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 3
    assert rows[0] == {
        "file": "train/handwritten/0.png",
        "split": "train",
        "label": "handwritten",
        "suggested": "printed",
        "p_handwritten": "0.0100",
        "p_printed": "0.9900",
        "group": "train <b>&",
        "source": "example.org/a",
    }


def test_the_page_needs_nothing_else_and_runs_nothing(audit: Audit, tmp_path: Path) -> None:
    write_page(audit, InputSpec(height=32, width=64), tmp_path / "review.html", at_most=2)
    page = (tmp_path / "review.html").read_text()
    assert page.count("<li>") == page.count('<img src="data:image/jpeg;base64,') == 2
    assert "3 of 16 labels are suspect" in page
    assert "the first 2" in page
    assert "train &lt;b&gt;&amp;" in page
    assert not re.search(r"<script|<link|style=|https?://", page)
    style = re.search(r"<style>(.*)</style>", page, re.DOTALL)
    assert style
    allowed = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    assert f"default-src 'none'; img-src data:; style-src 'sha256-{allowed}'" in page


def test_the_tables_count(audit: Audit) -> None:
    by_label = suspects_table(audit, LABELS)
    assert [list(column.cells) for column in by_label.columns][2:] == [
        ["4"] * 4,
        ["3", "0", "0", "0"],
        ["75.00%", *["0.00%"] * 3],
    ]
    assert [list(column.cells) for column in documents_table(audit).columns] == [["train <b>&"], ["8"], ["3"]]
