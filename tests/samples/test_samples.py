"""The samples are there, can be read, say what they are, and stay small."""

import csv
import io
from pathlib import Path
from typing import NamedTuple

import pypdfium2
import pytest
from PIL import Image

from inference.images import ImageLimits, open_document

SAMPLES = Path(__file__).parents[2] / "samples"
NOTICE = "Synthetic sample made by Penpress; not a scan"
IMAGE_DESCRIPTION = 270
PAGES = {".pdf": 2, ".tiff": 3}


class Sample(NamedTuple):
    file: str
    label: str
    font: str
    licence: str

    def read(self) -> bytes:
        return (SAMPLES / "images" / self.file).read_bytes()


def read_labels() -> list[Sample]:
    with (SAMPLES / "labels.csv").open(newline="", encoding="utf-8") as file:
        return [Sample(**row) for row in csv.DictReader(file)]


def describe(data: bytes) -> str:
    """What a file says of itself."""
    if data.startswith(b"%PDF"):
        with pypdfium2.PdfDocument(data) as document:
            return str(document.get_metadata_dict()["Subject"])
    with Image.open(io.BytesIO(data)) as image:
        return str(image.getexif()[IMAGE_DESCRIPTION])


every_sample = pytest.mark.parametrize("sample", read_labels(), ids=lambda sample: sample.file)


@every_sample
def test_a_sample_opens_as_a_document(sample: Sample) -> None:
    with open_document(sample.read(), ImageLimits()) as document:
        assert document.page_count == PAGES.get(Path(sample.file).suffix, 1)
        for number in range(1, document.page_count + 1):
            assert min(document.page(number).size) >= 16


@every_sample
def test_a_sample_says_that_it_is_synthetic(sample: Sample) -> None:
    assert describe(sample.read()) == NOTICE


@every_sample
def test_a_name_tells_the_label(sample: Sample) -> None:
    assert sample.label in {"handwritten", "printed"}
    assert sample.file.startswith(f"{sample.label}-")


@every_sample
def test_the_readme_lists_font_and_licence(sample: Sample) -> None:
    rows = [line.split(" | ") for line in (SAMPLES / "README.md").read_text(encoding="utf-8").splitlines()]
    assert [row[2] for row in rows if row[0] == f"| {sample.font}"] == [sample.licence]


def test_the_labels_match_the_folder() -> None:
    files = sorted(path.name for path in (SAMPLES / "images").iterdir())
    assert sorted(sample.file for sample in read_labels()) == files


def test_both_classes_have_many_samples() -> None:
    labels = [sample.label for sample in read_labels()]
    assert min(labels.count("handwritten"), labels.count("printed")) >= 15


def test_the_folder_is_small() -> None:
    assert sum(path.stat().st_size for path in SAMPLES.rglob("*") if path.is_file() and ".fonts" not in path.parts) < 1_500_000


def test_no_font_is_kept_in_the_repository() -> None:
    fonts = {".ttf", ".otf", ".woff", ".woff2"}
    assert not [path for path in SAMPLES.rglob("*") if path.suffix in fonts and ".fonts" not in path.parts]
