"""`python -m training`: the commands of `training.cli` where the command line of Penpress is not at hand, and `card`."""

import sys

import typer

from inference.errors import BundleError
from registry.cli import Defaults
from registry.errors import RegistryError
from training.card import card
from training.cli import cross_validate, data_commands, train
from training.errors import TrainingError, WrongSetting, operating_system_sentence

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
    """Run the command line, and turn errors of ours and of the operating system into one sentence."""
    try:
        app(obj=Defaults(tracking_uri=_demand_tracking_uri))
    except (TrainingError, RegistryError, BundleError) as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(2)
    except OSError as error:
        sys.stderr.write(f"{operating_system_sentence(error)}\n")
        sys.exit(2)


def _demand_tracking_uri() -> str:
    raise WrongSetting("Say where the run is to be logged, by --tracking-uri or MLFLOW_TRACKING_URI.")


if __name__ == "__main__":
    main()
