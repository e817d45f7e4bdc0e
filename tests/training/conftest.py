"""Tiny data sets and networks."""

import copy
import hashlib
import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from datasets import Dataset, DatasetDict, Features, Value
from datasets import Image as ImageColumn
from PIL import Image, ImageDraw
from torchvision.models import mobilenet_v2

from inference.bundle import Bundle, InputSpec, Manifest
from training.config import TrainingConfig
from training.data import COLUMNS, SPLITS, read_data_set
from training.evaluate import Evaluation
from training.export import export_graph
from training.manifest import FULL, write_manifest
from training.model import FEATURES, ServingModel

LABELS = ("handwritten", "printed")

MakeDataSet = Callable[..., Path]
Row = dict[str, Any]


@pytest.fixture
def make_data_set(tmp_path: Path) -> MakeDataSet:
    """Write a data set of strokes (handwritten) and bars (printed) to disk; `change` may alter a row, or drop it by None."""

    def make(images: int = 4, change: Callable[[str, Row], Row | None] = lambda split, row: row) -> Path:
        root = tmp_path / "lines"
        tables = DatasetDict()
        for split in SPLITS:
            kept = [changed for row in _rows(split, images) if (changed := change(split, row)) is not None]
            tables[split] = Dataset.from_dict({name: [row[name] for row in kept] for name in COLUMNS}, features=features())
        tables.save_to_disk(root, num_shards=dict.fromkeys(SPLITS, 1))
        return root

    return make


def features() -> Features:
    """The columns of a data set on disk."""
    return Features({"image": ImageColumn(decode=False), **{name: Value("string") for name in COLUMNS if name != "image"}})


def _rows(split: str, images: int) -> Iterator[Row]:
    for label in ("handwritten", "printed"):
        for number in range(images):
            data = _drawn(label, number, split)
            yield {
                "image": {"bytes": data, "path": None},
                "file": f"{split}/{label}/{number}.png",
                "label": label,
                "group": f"{split}-{label}",
                "source": "example.org/a",
                "century": "18",
                "licence": "CC0-1.0",
                "sha256": hashlib.sha256(data).hexdigest(),
            }


def _drawn(label: str, number: int, split: str) -> bytes:
    image = Image.new("RGB", (160, 40), "white")
    pen = ImageDraw.Draw(image)
    for x in range(5 + number + 2 * SPLITS.index(split), 150, 15):
        if label == "printed":
            pen.rectangle((x, 10, x + 5, 30 - SPLITS.index(split)), fill="black")
        else:
            pen.line((x, 30, x + 12, 8 + number), fill=(40, 40, 90), width=1)
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


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
        return TrainingConfig(data=data, height=32, width=64, processes=1, precision="no", calibration_images=4, **fields)  # type: ignore[arg-type]  # the test's own

    return make


@pytest.fixture
def evaluation(make_data_set: MakeDataSet) -> Evaluation:
    """Answers to 24 samples, of which those at 5, 11 and 12 are wrong; the confidence rises from sample to sample."""
    samples = read_data_set(make_data_set(images=12), LABELS)["test"]
    confidence = np.linspace(0.6, 0.99, len(samples))
    right = np.array([sample.target for sample in samples])
    given = right.copy()
    given[[5, 11, 12]] ^= 1
    probabilities = np.where(np.eye(2)[given] == 1, confidence[:, None], 1 - confidence[:, None])
    return Evaluation(samples, probabilities)


@pytest.fixture(scope="session")
def exported_model(random_model: ServingModel, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A bundle without metrics, of a random network for which every place speaks somewhat for each class."""
    model = copy.deepcopy(random_model)
    model.set_head(torch.rand(2, FEATURES, generator=torch.Generator().manual_seed(0)), torch.zeros(2))
    directory = tmp_path_factory.mktemp("exported") / "tiny"
    directory.mkdir()
    spec = InputSpec(height=32, width=64)
    export_graph(model, directory / FULL, spec)
    return write_manifest(
        directory,
        Manifest(
            name="tiny",
            labels=LABELS,
            input=spec,
            temperature=1.0,
            review_threshold=0.9,
            serve=FULL,
            files={},
            created_at="2026-11-23T00:00:00+00:00",
        ),
    )
