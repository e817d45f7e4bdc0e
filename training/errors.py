"""What can go wrong on the way from data to a candidate model; the message is one sentence for whoever trains.

    TrainingError
      DataSetError
        NoDataSet  DataSetInvalid  GroupInTwoSplits  PictureInTwoSplits  EmptySplit
        SourceUnreadable  NothingImported  ImportUnlike  ImportRunning  TooFewDocuments
      ExtraMissing  WrongSetting  NoWeights  OtherRun  NoSuchRun  TooFewSources  Diverged
      CardError
        ResultsInvalid  ResultsOfAnotherModel  NotMeasured  NoCardText
      GateError
        ParityFailed  CamMismatch  NoGoldenSample

The docstring of a class is its message.
"""


class TrainingError(Exception):
    """That cannot be trained."""

    def __init__(self, detail: str | None = None) -> None:
        super().__init__(detail or type(self).__doc__)


class DataSetError(TrainingError):
    """The data set cannot be used."""


class NoDataSet(DataSetError):
    """There is no data set in that folder."""


class DataSetInvalid(DataSetError):
    """What lies in that folder is not a data set as `penpress data import` makes them."""


class GroupInTwoSplits(DataSetError):
    """A document is in two splits, so that a score would reward remembering it."""


class PictureInTwoSplits(DataSetError):
    """The same picture is in two splits, so that a score would reward remembering it."""


class EmptySplit(DataSetError):
    """A split lacks images of one of the labels."""


class SourceUnreadable(DataSetError):
    """What should be imported cannot be read."""


class NothingImported(DataSetError):
    """Of what should be imported, no image can be used."""


class ImportUnlike(DataSetError):
    """In that folder is something else than what this import would make."""


class ImportRunning(DataSetError):
    """Another import into that folder is running."""


class TooFewDocuments(DataSetError):
    """There are too few documents to predict some of them from the others."""


class ExtraMissing(TrainingError):
    """Training takes packages that the service does without: install penpress[training], or run make check in a clone."""


class WrongSetting(TrainingError):
    """A setting of the training cannot be what it was set to."""


class NoWeights(TrainingError):
    """The ImageNet weights cannot be had."""


class OtherRun(TrainingError):
    """The checkpoint in that folder belongs to another run."""


class TooFewSources(TrainingError):
    """There are too few sources to leave some out."""


class Diverged(TrainingError):
    """The training has diverged; try a lower learning rate."""


class CardError(TrainingError):
    """The model card cannot be rendered."""


class ResultsInvalid(CardError):
    """What lies in that file are not the results that should be there."""


class ResultsOfAnotherModel(CardError):
    """Those results were measured on another model."""


class NotMeasured(CardError):
    """The bundle states no figures of its test split."""


class NoCardText(CardError):
    """There is no text from which a card could be rendered."""


class GateError(TrainingError):
    """The exported graph is not good enough to be served."""


class ParityFailed(GateError):
    """The exported graph does not compute what the network computes."""


class CamMismatch(GateError):
    """The graph's class activation map is not the Grad-CAM of the network."""


class NoGoldenSample(GateError):
    """The exported graph answers no validation image rightly that could be its golden sample."""


class NoSuchRun(TrainingError):
    """The tracking server has no such run."""


def operating_system_sentence(error: OSError) -> str:
    """What the operating system refused, and of which file, where it says so."""
    where = f"{error.filename}: " if error.filename else ""
    return f"{where}{error.strerror or error}."
