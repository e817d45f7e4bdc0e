"""How a process ended, in words that an archivist may read."""

import signal


def hung(seconds: float) -> str:
    """The cause of death of a process that was silent for so long."""
    return f"hung for more than {seconds:g} seconds"


def describe(exit_code: int | None, cause: str) -> str:
    """The end of the sentence "the last time …". A negative `exit_code` is a signal's number; `cause` was known before."""
    if cause:
        return f"it {cause}"
    if exit_code is None:
        return "it was found dead"
    if exit_code >= 0:
        return f"it ended with exit code {exit_code}"
    try:
        return f"it was killed by {signal.Signals(-exit_code).name}"
    except ValueError:
        return f"it was killed by signal {-exit_code}"
