"""The command line: `penpress up`, `classify`, `results`, `jobs` and `keys`, and those of `training` and `registry`.

Every command imports what it needs when it runs, so that `--help` and `--version` answer at once. What goes wrong is one
sentence on standard error: exit code 2 when nothing was done, 1 when part of it failed or is not finished, 130 after Ctrl-C.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import typer

from inference.errors import BundleError
from penpress import __version__
from penpress.compare import compare
from penpress.configured import read_settings
from penpress.errors import Interrupted, PenpressError, Refused
from penpress.keys import keys_commands
from registry.cli import Defaults
from registry.cli import app as registry_commands
from registry.errors import RegistryError
from training.cli import cross_validate, data_commands, train
from training.errors import TrainingError, operating_system_sentence

_DEFAULT_URL = "http://127.0.0.1:8000"

app = typer.Typer(
    name="penpress",
    help="Tells handwriting from print, at archive scale.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

Url = Annotated[str | None, typer.Option("--url", help="The service; by default the one that `penpress up` started here.")]

Out = Annotated[Path | None, typer.Option(help="File for the results; .csv, .jsonl or .ndjson.")]
FormatName = Annotated[
    str | None, typer.Option("--format", help="csv, jsonl or table; by default a table on a terminal, else csv.")
]


app.command()(train)
app.command()(cross_validate)
app.add_typer(data_commands, name="data")
app.add_typer(keys_commands, name="keys")
registry_commands.command()(compare)
app.add_typer(registry_commands, name="registry")


def main() -> None:
    """Run the command line, and turn errors of ours and of the operating system into one sentence."""
    try:
        app()
    except PenpressError as error:
        if isinstance(error, Refused) and error.status == HTTPStatus.UNAUTHORIZED:
            error.add("Set PENPRESS_KEY to a key of this service; `penpress keys create NAME` makes one.")
        sys.stderr.write(f"{error}\n")
        sys.exit(error.exit_code)
    except (TrainingError, RegistryError, BundleError) as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(PenpressError.exit_code)
    except OSError as error:
        sys.stderr.write(f"{operating_system_sentence(error)}\n")
        sys.exit(PenpressError.exit_code)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"penpress {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and leave.")
    ] = False,
) -> None:
    context.obj = Defaults(tracking_uri=lambda: read_settings().mlflow_uri)


@app.command()
def up(
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="Port of the API; 0 picks a free one.")] = None,
    host: Annotated[str | None, typer.Option(help="Address that the API listens on.")] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Worker processes; by default one per core.")] = None,
    detach: Annotated[bool, typer.Option("--detach", help="Return when it is ready; `penpress down` ends it.")] = False,
) -> None:
    """Start everything on this machine: Postgres, Redis, the API and a worker."""
    if detach:
        _start_in_background(port, host, workers)
        return
    from penpress.status import Terminal
    from penpress.up import Up

    settings = read_settings()
    run = Up(
        settings,
        host=settings.host if host is None else host,
        port=settings.port if port is None else port,
        processes=workers,
    )
    run.run(Terminal())


def _start_in_background(port: int | None, host: str | None, workers: int | None) -> None:
    from penpress.background import start_in_background

    given = {"--port": port, "--host": host, "--workers": workers}
    options = [word for name, value in given.items() if value is not None for word in (name, str(value))]
    url = start_in_background(read_settings().home_dir, options)
    typer.echo(f"Penpress is ready at {url}")
    if port and urlsplit(url).port != port:
        typer.echo(f"It was running already, so not on port {port}; `penpress down` ends it.", err=True)


@app.command()
def down() -> None:
    """Stop what `penpress up` runs on this machine."""
    from penpress.background import stop_in_background

    stop_in_background(read_settings().home_dir)
    typer.echo("Penpress has stopped.")


@app.command()
def classify(
    paths: Annotated[list[Path], typer.Argument(help="Images, PDFs, folders of them, and zips.", show_default=False)],
    url: Url = None,
    local: Annotated[bool, typer.Option("--local", help="Classify in this process, without a service.")] = False,
    out: Out = None,
    format_name: FormatName = None,
) -> None:
    """Classify images: by a running service, or here with --local."""
    from penpress.classify import classify_at, classify_here
    from penpress.output import choose_format, parse_format
    from penpress.sources import find_sources

    with _interruptible():
        output = choose_format(parse_format(format_name), out, is_terminal=sys.stdout.isatty())
        sources = find_sources(paths)
        for sentence in sources.overlooked:
            typer.echo(sentence, err=True)
        if local:
            code = classify_here(sources, read_settings(), output, out)
        else:
            code = classify_at(_service_url(url), sources, output, out, options=f" --url {url}" if url else "")
    raise typer.Exit(code)


@app.command()
def results(
    job: Annotated[str, typer.Argument(help="The id of the job, as `penpress jobs` shows it.", show_default=False)],
    url: Url = None,
    out: Out = None,
    format_name: FormatName = None,
) -> None:
    """Get the results of a job that was sent earlier; those there are so far, if it is not finished."""
    from penpress.classify import fetch_results
    from penpress.output import choose_format, parse_format

    with _interruptible():
        output = choose_format(parse_format(format_name), out, is_terminal=sys.stdout.isatty())
        code = fetch_results(_service_url(url), job, output, out)
    raise typer.Exit(code)


@app.command()
def jobs(url: Url = None) -> None:
    """List the jobs of a running service, newest first."""
    from penpress.client import Client
    from penpress.status import show_jobs

    with Client(_service_url(url)) as client:
        show_jobs(client.jobs())


@contextmanager
def _interruptible() -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        raise Interrupted from None


def _service_url(given: str | None) -> str:
    from penpress.state import service_url

    return given or service_url(read_settings().home_dir) or _DEFAULT_URL
