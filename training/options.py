"""The options of a command that trains: one for each field of `TrainingConfig` that has a help text."""

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_args, get_origin, get_type_hints

import typer

from training.config import FOLDER, TrainingConfig

Command = TypeVar("Command", bound=Callable[..., None])


def with_training_options(command: Command) -> Command:
    """Give `command`, whose last parameter takes any keyword, the options that `config_of` makes a configuration of."""
    own = [p for p in inspect.signature(command, eval_str=True).parameters.values() if p.kind != p.VAR_KEYWORD]
    parameters = [p.replace(kind=p.KEYWORD_ONLY) for p in own] + _options()
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # inspect looks for it
    command.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return command


def config_of(data: Path, options: dict[str, Any]) -> TrainingConfig:
    """The configuration that the options describe."""
    return TrainingConfig(data=data, **options)


def _options() -> list[inspect.Parameter]:
    defaults = {name: parameter.default for name, parameter in inspect.signature(TrainingConfig).parameters.items()}
    return [
        inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            default=defaults[name],
            annotation=Annotated[get_args(hint)[0], _option(*get_args(hint)[1:])],
        )
        for name, hint in get_type_hints(TrainingConfig, include_extras=True).items()
        if get_origin(hint) is Annotated
    ]


def _option(words: str, *said: Any) -> Any:
    """An option; where it is a path there must be a file or folder, which no other type heeds."""
    folder = FOLDER in said
    return typer.Option(help=f"{words[0].upper()}{words[1:]}.", exists=True, dir_okay=folder, file_okay=not folder)
