"""The states that rows can be in, and the other closed sets of words that tables hold. Each word is spelt as it is stored."""

from enum import StrEnum


class JobState(StrEnum):
    """Where a job stands.

    queued → planning → running → completed | failed, with cancelled and expired for jobs that were given up.
    """

    QUEUED = "queued"  # accepted and durable; nobody has looked inside yet
    PLANNING = "planning"  # a worker reads the archives' directories
    RUNNING = "running"  # chunks are being classified
    COMPLETED = "completed"  # every item has its row; some may have failed
    FAILED = "failed"  # no result could be produced
    CANCELLING = "cancelling"  # somebody asked to stop it, and the chunks in workers' hands are waited for
    CANCELLED = "cancelled"  # it was stopped; what was classified before stays
    EXPIRED = "expired"  # it was kept for as long as it should be, and its uploads are gone


FINISHED_STATES = frozenset({JobState.COMPLETED, JobState.FAILED, JobState.CANCELLED, JobState.EXPIRED})

PREDICTED_CLASSES = ("handwritten", "printed")
"""What a model may answer, so that a row of predictions can hold it."""


class ChunkState(StrEnum):
    """ready → leased → done; an expired lease leads back to ready."""

    READY = "ready"
    LEASED = "leased"
    DONE = "done"


class ItemStatus(StrEnum):
    """What became of one item."""

    SUCCEEDED = "succeeded"  # it has a class and a confidence
    FAILED = "failed"  # it has a reason instead
    SKIPPED = "skipped"  # it was no scan to begin with, such as a file manager's thumbnail cache


class EventState(StrEnum):
    """pending → delivered | given_up."""

    PENDING = "pending"  # due at `next_at`, or in a deliverer's hands until `lease_until`
    DELIVERED = "delivered"  # the receiver took it
    GIVEN_UP = "given_up"  # no attempt of the schedule was taken, or the endpoint was switched off


class EventType(StrEnum):
    """What a webhook may tell of a job."""

    STARTED = "job.started"  # planned; its items are being classified
    PROGRESS = "job.progress"  # some more items have their results
    COMPLETED = "job.completed"
    FAILED = "job.failed"
    CANCELLED = "job.cancelled"


class GradcamPolicy(StrEnum):
    """For which predictions the class activation map is kept."""

    REVIEW = "review"  # where a person should look
    ALWAYS = "always"
    NEVER = "never"
