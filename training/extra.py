"""Whether what training takes is installed: the service does without."""

import os
from importlib.util import find_spec

from training.errors import ExtraMissing

MODULES = (
    "accelerate",
    "captum",
    "cleanlab",
    "datasets",
    "matplotlib",
    "onnx",
    "safetensors",
    "sklearn",
    "torch",
    "torchvision",
)
"""What the extra `training` installs, as it is imported."""


def require_extra() -> None:
    """Raises `ExtraMissing` where a module is not installed. Called before any is imported, it also sees to it that threads
    sleep while they wait: on cores that others use too, threads that spin made training four times slower.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    missing = [module for module in MODULES if not _is_installed(module)]
    if missing:
        raise ExtraMissing(f"{ExtraMissing.__doc__} Missing: {', '.join(missing)}.")


def _is_installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ValueError:  # imported from nowhere, or kept from being imported
        return False
