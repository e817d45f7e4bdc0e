"""What a run was made with: packages, machine and the state of the code. No name of a host, no folder."""

import os
import platform
import subprocess
from dataclasses import dataclass
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

_PACKAGE = Path(__file__).parent
_GIT_SECONDS = 10


@dataclass(frozen=True, slots=True)
class Commit:
    """The code's git commit, and whether files differ from it."""

    sha: str
    dirty: bool


def installed_packages() -> list[str]:
    """`name==version` of every package installed, by name."""
    found = {str(package.metadata["Name"]): package.version for package in distributions() if package.metadata["Name"]}
    return [f"{name}=={found[name]}" for name in sorted(found, key=str.lower)]


def system() -> dict[str, Any]:
    """Python, operating system, processor and graphics cards, as far as they may change a result."""
    import torch

    cards = [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())]
    return {
        "python": platform.python_version(),
        "platform": platform.system(),
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "device": ", ".join(cards) or "cpu",
        "cuda": torch.version.cuda if cards else None,
    }


def commit(directory: Path = _PACKAGE) -> Commit | None:
    """The commit of the checkout that `directory` is part of; None for an installed package, or without git."""
    # A virtual environment inside a checkout is not part of it, though git would answer there too.
    if _git(directory, "ls-files", "--error-unmatch", "__init__.py") is None:
        return None
    sha, changes = _git(directory, "rev-parse", "HEAD"), _git(directory, "status", "--porcelain", "--untracked-files=no")
    return Commit(sha, dirty=bool(changes)) if sha is not None else None


def _git(directory: Path, *arguments: str) -> str | None:
    command = ["git", "-C", str(directory), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=_GIT_SECONDS)  # noqa: S603  # fixed words
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
