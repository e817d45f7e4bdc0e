"""`penpress train` and `penpress data …`, which `python -m training` offers too.

Every command imports what it needs when it runs: the service installs without the packages that training takes.
"""

from training.data_cli import data_commands

__all__ = ["data_commands", "train"]


def train() -> None:
    """Train a candidate model."""
    raise NotImplementedError
