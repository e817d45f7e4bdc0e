"""The state of a run on disk: tensors and plain JSON in one safetensors file, nothing pickled.

It appears by a rename, whole, so that a run that was killed at any moment goes on from its last finished epoch.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from training.errors import OtherRun

IDENTITY = "identity"
"""Where a state names the run that it belongs to."""
_STATE = "state"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Named tensors, and a state that JSON can hold."""

    tensors: Mapping[str, Tensor]
    state: Mapping[str, Any]


def write_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Replace what lies at `path`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in checkpoint.tensors.items()}
    save_file(tensors, draft, metadata={_STATE: json.dumps(checkpoint.state)})
    draft.replace(path)


def own_checkpoint(path: Path, identity: str) -> Checkpoint | None:
    """What the run with that identity left at `path`; None if there is nothing. Raises `OtherRun`."""
    found = read_checkpoint(path)
    if found is not None and found.state[IDENTITY] != identity:
        raise OtherRun(f"{path} belongs to a run with other settings or other data; give another folder, or remove it.")
    return found


def read_checkpoint(path: Path) -> Checkpoint | None:
    """What lies at `path`; None if there is nothing."""
    if not path.is_file():
        return None
    with safe_open(path, framework="pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # it is no mapping
        return Checkpoint(tensors, json.loads(file.metadata()[_STATE]))
