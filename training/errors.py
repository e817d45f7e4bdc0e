"""What can go wrong on the way from data to a candidate model; the message is one sentence for whoever trains.

    TrainingError
      DataSetError
        NoDataSet  DataSetInvalid  GroupInTwoSplits  PictureInTwoSplits  EmptySplit
      GateError
        ParityFailed
      NoSuchRun

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


class GateError(TrainingError):
    """The exported graph is not good enough to be served."""


class ParityFailed(GateError):
    """The exported graph does not compute what the network computes."""


class NoSuchRun(TrainingError):
    """The tracking server has no such run."""
