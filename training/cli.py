"""`penpress train` and `penpress data …`, which `python -m training` offers too.

Every command imports what it needs when it runs: the service installs without the packages that training takes.
"""

import typer

data_commands = typer.Typer(name="data", help="Import data sets, and look for mistakes in them.", no_args_is_help=True)


def train() -> None:
    """Train a candidate model."""
    raise NotImplementedError
