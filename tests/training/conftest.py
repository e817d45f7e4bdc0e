"""Tiny data sets and networks."""

import csv
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image, ImageDraw
from torchvision.models import mobilenet_v2

from training.config import TrainingConfig
from training.model import FEATURES, ServingModel

MakeDataSet = Callable[..., Path]
COLUMNS = ("file", "split", "label", "source_repo", "document")


@pytest.fixture
def make_data_set(tmp_path: Path) -> MakeDataSet:
    """Write a data set of strokes (handwritten) and bars (printed); `rows` replaces what its metadata.csv says."""

    def make(images: int = 4, rows: list[dict[str, str]] | None = None) -> Path:
        root = tmp_path / "lines"
        written = []
        for split in ("train", "validation", "test"):
            for label in ("handwritten", "printed"):
                for number in range(images):
                    file = f"{split}/{label}/{number}.png"
                    _draw(root / file, label, number)
                    document = f"{split}-{label}"
                    written.append(dict(zip(COLUMNS, (file, split, label, "example.org/a", document), strict=True)))
        with (root / "metadata.csv").open("w", encoding="utf-8", newline="") as file_:
            writer = csv.DictWriter(file_, COLUMNS)
            writer.writeheader()
            writer.writerows(written if rows is None else rows)
        return root

    return make


def _draw(path: Path, label: str, number: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.new("RGB", (160, 40), "white")
    pen = ImageDraw.Draw(image)
    for x in range(5 + number, 150, 15):
        if label == "printed":
            pen.rectangle((x, 10, x + 5, 30), fill="black")
        else:
            pen.line((x, 30, x + 12, 8 + number), fill=(40, 40, 90), width=1)
    image.save(path)


@pytest.fixture(scope="session")
def random_model() -> ServingModel:
    """A network with random weights whose head speaks for both classes."""
    torch.manual_seed(0)
    model = ServingModel(mobilenet_v2(), 2)
    model.set_head(torch.randn(2, FEATURES), torch.tensor([0.3, -0.2]))
    return model


@pytest.fixture
def make_config() -> Callable[..., TrainingConfig]:
    """A configuration that runs in seconds."""

    def make(data: Path, **fields: object) -> TrainingConfig:
        return TrainingConfig(data=data, height=32, width=64, processes=1, calibration_images=4, **fields)  # type: ignore[arg-type]  # the test's own

    return make
