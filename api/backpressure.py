"""Whether there is room for one more job: for this client, and in the queue as a whole. Asked before the body is read, and
again in the transaction that writes the job, where the size of the body is known and no other submission is in between.
"""

from sqlalchemy.orm import Session

from api.deps import Services
from api.identity import Caller
from api.refusals import Limit, QueueFull, QuotaExceeded, RequestRefused, TooManyOpenJobs
from store import quotas


def check_room(services: Services, caller: Caller, *, more_bytes: int) -> None:
    """Refuse early. Raises `TooManyOpenJobs`, `QuotaExceeded` or `QueueFull`."""
    with services.database.transaction() as session:
        _check(session, services, caller, more_bytes)


def claim_room(session: Session, services: Services, caller: Caller, *, more_bytes: int) -> None:
    """The same in the transaction that writes the job; the client's other submissions wait for its end."""
    quotas.lock_client(session, owner_id=caller.owner_id)
    _check(session, services, caller, more_bytes)


def check_quota(services: Services, caller: Caller, *, more_bytes: int) -> None:
    """For what belongs to no job and comes often; see `api.usage`. Raises `QuotaExceeded`."""
    room = _chosen(caller.limits.max_stored_bytes, services.settings.max_stored_bytes)
    if (size := services.usage.exceeding(caller.owner_id, more_bytes, most=room)) is not None:
        raise quota_exceeded(room, size)


def _check(session: Session, services: Services, caller: Caller, more_bytes: int) -> None:
    settings, own = services.settings, caller.limits
    waiting = quotas.backlog(session, owner_id=caller.owner_id)
    if waiting.items >= settings.max_queued_items:
        raise queue_full("max_queued_items", settings.max_queued_items, waiting.items, "items")
    if waiting.unplanned_jobs >= settings.max_unplanned_jobs:
        raise queue_full("max_unplanned_jobs", settings.max_unplanned_jobs, waiting.unplanned_jobs, "jobs")
    most = _chosen(own.max_open_jobs, settings.max_open_jobs)
    if waiting.own_jobs >= most:
        raise too_many_open_jobs(most, waiting.own_jobs)
    room = _chosen(own.max_stored_bytes, settings.max_stored_bytes)
    if (size := quotas.stored_bytes(session, owner_id=caller.owner_id) + more_bytes) > room:
        raise quota_exceeded(room, size)


def _chosen(of_key: int | None, of_service: int) -> int:
    return of_service if of_key is None else of_key


def queue_full(key: str, value: int, observed: int, unit: str) -> RequestRefused:
    """The refusal while the whole queue is over a limit."""
    detail = f"{observed} {unit} wait in the queue, and {value} are allowed; try again later."
    return QueueFull(detail, limit=Limit(key=key, value=value, observed=observed, unit=unit))


def too_many_open_jobs(value: int, observed: int) -> RequestRefused:
    """The refusal of a client whose jobs have to end first."""
    detail = f"You have {observed} jobs that have not ended, and {value} are allowed; wait for one, or cancel it."
    return TooManyOpenJobs(detail, limit=Limit(key="max_open_jobs", value=value, observed=observed, unit="jobs"))


def quota_exceeded(value: int, observed: int) -> RequestRefused:
    """The refusal of a client that keeps too much."""
    detail = f"With this upload you would keep {observed} bytes here, and {value} are allowed; room comes as your jobs expire."
    return QuotaExceeded(detail, limit=Limit(key="max_stored_bytes", value=value, observed=observed, unit="bytes"))


REFUSALS = (
    queue_full("max_queued_items", 2_000_000, 2_014_700, "items"),
    too_many_open_jobs(1000, 1000),
    quota_exceeded(1024**4, 1_100_000_000_000),
)
"""For the OpenAPI document."""
