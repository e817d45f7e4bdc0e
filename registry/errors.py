"""What can go wrong between a model and production.

    RegistryError
      RegistryUnavailable  NoSuchVersion  NoSuchAlias  NoModel  WrongLabels

The docstring of a class is its message.
"""


class RegistryError(Exception):
    """The model registry could not do what was asked."""

    def __init__(self, detail: str | None = None) -> None:
        super().__init__(detail or type(self).__doc__)


class RegistryUnavailable(RegistryError):
    """The model registry does not answer."""


class NoSuchVersion(RegistryError):
    """The registered model has no such version."""


class NoSuchAlias(RegistryError):
    """No version of the registered model has that alias."""


class NoModel(RegistryError):
    """No model is in production, or it could not be loaded."""


class WrongLabels(RegistryError):
    """The model answers with other labels than this service keeps."""
