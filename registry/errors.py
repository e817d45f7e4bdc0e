"""What can go wrong between a model and production.

    RegistryError
      RegistryUnavailable  NoSuchVersion  NoSuchAlias  NoModel  WrongLabels
      SelectionError
        NoSuchExperiment  NoSuchRun  UnfitRun  NoFitRun
      PromotionError
        PromotionRefused  ProductionChanged  ReasonMissing  NoPrevious  InProduction
      BundleFileInvalid  NotComparable  NoSample

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


class SelectionError(RegistryError):
    """No run could be selected."""


class NoSuchExperiment(SelectionError):
    """There is no experiment of that name."""


class NoSuchRun(SelectionError):
    """There is no run with that id."""


class UnfitRun(SelectionError):
    """That run cannot become a version of the model."""


class NoFitRun(SelectionError):
    """No run can become a version of the model."""


class PromotionError(RegistryError):
    """That version was not put into production."""


class PromotionRefused(PromotionError):
    """A gate speaks against that version."""


class ProductionChanged(PromotionError):
    """Another version was put into production meanwhile; promote again, and the gates look at that one."""


class ReasonMissing(PromotionError):
    """Overruling the gates needs a reason: say which by --reason."""


class NoPrevious(PromotionError):
    """There is no version to go back to: none has the alias previous."""


class InProduction(PromotionError):
    """The version in production cannot be archived; promote another one, which archives it."""


class BundleFileInvalid(RegistryError):
    """That is not a bundle file as `penpress registry export` writes them."""


class NotComparable(RegistryError):
    """These two models cannot be compared."""


class NoSample(RegistryError):
    """There are no images in that folder."""
