"""`penpress keys …`: who may use the service.

A secret is printed once, alone on standard output, so that it can go into a file or a variable; what explains it goes to
standard error. Every command imports what it needs when it runs.
"""

from typing import TYPE_CHECKING, Annotated

import typer

from penpress.configured import read_settings
from penpress.errors import KeyRefused

if TYPE_CHECKING:
    from store.keys import Scope

keys_commands = typer.Typer(name="keys", help="Make, list, revoke and rotate the keys of the service.", no_args_is_help=True)

KeyName = Annotated[str, typer.Argument(metavar="NAME", help="The key's name, or its id.", show_default=False)]
Most = Annotated[int | None, typer.Option(min=1, show_default=False)]


@keys_commands.command()
def create(
    name: Annotated[str, typer.Argument(help="What the key is for.", show_default=False)],
    scope: Annotated[list[str], typer.Option(help="submit, read or admin; may be repeated.")] = ["submit", "read"],  # noqa: B006  # typer copies it
    max_open_jobs: Most = None,
    max_stored_bytes: Most = None,
    max_requests_per_minute: Most = None,
    adopt: Annotated[bool, typer.Option("--adopt", help="Give it the jobs that were made without a key.")] = False,
) -> None:
    """Make a key and print its secret, once. What is not given of its limits is as the settings say."""
    from penpress.keys_database import keys_session
    from store import keys

    scopes, name = [_scope(word) for word in scope], _checked_name(name)
    limits = keys.KeyLimits(
        max_open_jobs=max_open_jobs, max_stored_bytes=max_stored_bytes, max_requests_per_minute=max_requests_per_minute
    )
    with keys_session(read_settings()) as session:
        key, secret = keys.create_key(session, name=name, scopes=scopes, limits=limits)
        adopted = keys.adopt(session, key) if adopt else 0
        ownerless = keys.count_ownerless(session)
    _explain(f"Key {name} ({key.id}) for {', '.join(key.scopes)}. The secret below is shown this once; send it as")
    _explain("Authorization: Bearer, or let PENPRESS_KEY hold it.")
    _explain(f"Its webhooks are signed with {key.webhook_secret}")
    if adopt:
        _explain(f"It owns {adopted} jobs that were made without a key. From now on this secret signs their webhooks, too.")
    if ownerless:
        jobs = "1 earlier job is" if ownerless == 1 else f"{ownerless} earlier jobs are"
        _explain(f"{jobs} seen by no key; `penpress keys create NAME --adopt` gives them to a new one.")
    typer.echo(secret)


@keys_commands.command("list")
def list_keys() -> None:
    """Show every key, without secrets."""
    from penpress.keys_database import keys_session
    from penpress.status import show_keys
    from store import keys

    with keys_session(read_settings()) as session:
        show_keys(keys.list_keys(session))


@keys_commands.command()
def revoke(name: KeyName) -> None:
    """Refuse a key from now on; its jobs and results stay."""
    from penpress.keys_database import keys_session
    from store import keys

    with keys_session(read_settings()) as session:
        key = keys.key_called(session, name)
        keys.revoke_key(session, key)
    _explain(f"Key {key.name} ({key.id}) is revoked.")


@keys_commands.command()
def rotate(
    name: KeyName,
    webhook: Annotated[bool, typer.Option("--webhook", help="The secret that webhooks are signed with, instead.")] = False,
    grace_hours: Annotated[float, typer.Option(min=0, max=24 * 365, help="How long the secret before holds.")] = 24,
    now: Annotated[bool, typer.Option("--now", help="End the secret before, and any other, at once.")] = False,
) -> None:
    """Give a key a new secret and print it, once; the one before holds for a while."""
    from penpress.keys_database import keys_session
    from store import keys

    grace_seconds = 0 if now else grace_hours * 3600
    with keys_session(read_settings()) as session:
        key = keys.key_called(session, name)
        replace = keys.rotate_webhook_secret if webhook else keys.rotate_secret
        secret = replace(session, key, grace_seconds=grace_seconds)
    until = f"holds for {grace_hours:g} h more" if grace_seconds else "is refused from now on"
    _explain(f"The {'webhook ' if webhook else ''}secret of {key.name} ({key.id}) before this one {until}. The new one:")
    typer.echo(secret)


def _scope(word: str) -> "Scope":
    from store.keys import Scope

    try:
        return Scope(word)
    except ValueError:
        raise KeyRefused(f"There is no scope {word!r}; there are {', '.join(Scope)}.") from None


def _checked_name(name: str) -> str:
    if not (0 < len(name.strip()) <= 200 and name.isprintable()):
        raise KeyRefused("A key's name has 1 to 200 printable characters.")
    return name.strip()


def _explain(sentence: str) -> None:
    typer.echo(sentence, err=True)
