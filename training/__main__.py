"""`python -m training`: the commands of `training.cli` where the command line of Penpress is not at hand, and `card`."""

import sys

import typer

from inference.errors import BundleError
from registry.errors import RegistryError
from training.card import card
from training.cli import cross_validate, data_commands, train
from training.errors import TrainingError

app = typer.Typer(
    name="training",
    help="Make data sets, and train models on them.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command()(train)
app.command()(cross_validate)
app.command()(card)
app.add_typer(data_commands, name="data")


def main() -> None:
    """Run the command line, and turn errors of ours into one sentence."""
    try:
        app()
    except (TrainingError, RegistryError, BundleError) as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(2)


if __name__ == "__main__":
    main()
