from pathlib import Path

import torch

from training.checkpoint import Checkpoint, read_checkpoint, write_checkpoint


def test_tensors_and_state_come_back(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "run.safetensors"
    assert read_checkpoint(path) is None
    write_checkpoint(path, Checkpoint({"a.b": torch.arange(3.0)}, {"epochs": [{"loss": 0.1}], "best": float("inf")}))
    write_checkpoint(path, Checkpoint({"a.b": torch.arange(4.0)}, {"epochs": []}))
    found = read_checkpoint(path)
    assert found is not None
    assert torch.equal(found.tensors["a.b"], torch.arange(4.0))
    assert found.state == {"epochs": []}
    assert [file.name for file in path.parent.iterdir()] == ["run.safetensors"]
