import copy
from pathlib import Path

import numpy as np
import pytest
import torch

from inference.bundle import InputSpec, Manifest
from training.errors import ParityFailed
from training.export import export_graph
from training.gates import check_parity, quantization_objection
from training.manifest import FULL, write_manifest
from training.model import FEATURES, ServingModel

RIGHT = np.tile([0.9, 0.1], (1000, 1))
TARGETS = np.zeros(1000, dtype=np.int64)


def with_wrong(number: int) -> np.ndarray:
    answers = RIGHT.copy()
    answers[:number] = [0.1, 0.9]
    return answers


@pytest.mark.parametrize(("wrong", "word"), [(0, None), (1, None), (2, "loses"), (4, "agrees")])
def test_a_quantized_graph_must_agree_and_be_as_good(wrong: int, word: str | None) -> None:
    objection = quantization_objection(RIGHT, with_wrong(wrong), TARGETS)
    assert (objection is None) if word is None else (word in str(objection))


def test_a_graph_of_another_network_is_refused(random_model: ServingModel, tmp_path: Path) -> None:
    spec = InputSpec(height=32, width=64)
    images = [np.full((32, 64, 3), level, dtype=np.uint8) for level in (0, 120, 255)]
    export_graph(random_model, tmp_path / FULL, spec)
    manifest = Manifest(
        name="m", labels=("a", "b"), input=spec, temperature=1, review_threshold=1, serve=FULL, files={}, created_at="now"
    )
    bundle = write_manifest(tmp_path, manifest)
    assert check_parity(random_model, bundle, images) < 1e-4
    other = copy.deepcopy(random_model)
    other.set_head(torch.zeros(2, FEATURES), torch.tensor([2.0, -2.0]))
    with pytest.raises(ParityFailed):
        check_parity(other, bundle, images)
