"""Plan a job: read its archives' directories, pin the model version, write the chunks.

Nothing is unpacked here. An upload that cannot be opened is one failed item; the job goes on with the others.
"""

import uuid
from collections.abc import Iterator, Sequence
from itertools import count

from sqlalchemy.orm import Session

from store import archives, chunks, faults, planning, predictions
from store.archives import ArchiveError, Refusal, TooManyItems
from store.base import new_id
from store.blobs import BlobMissing
from store.models import Job, Upload
from store.planning import Plan
from store.predictions import Item, NewPrediction
from store.queue import PLAN_JOB
from store.states import ItemStatus
from worker.lease import Lease, LeaseLost, held_lease
from worker.runtime import Runtime
from worker.setbacks import PASSING_FOR_A_PLAN, cause_of, give_back


def plan_job(runtime: Runtime, job_id: uuid.UUID) -> None:
    """Plan the job if it still waits for that, and announce its chunks after the commit."""
    token = new_id()
    runtime.mark.begin(PLAN_JOB, job_id, token)  # before the lease is there, so that no lease is ever unknown
    with runtime.database.transaction() as session:
        job = planning.begin_planning(session, job_id, lease_seconds=runtime.settings.lease_seconds, token=token)
    chunk_ids = _carry_out(runtime, job, token) if job else []
    runtime.mark.rest()
    runtime.queue.classify_chunks(chunk_ids)


def _carry_out(runtime: Runtime, job: Job, token: uuid.UUID) -> Sequence[uuid.UUID]:
    """The chunks to announce."""
    if job.attempt > runtime.settings.max_attempts:
        _give_up(runtime, job, token)
        return []
    try:
        return _plan_claimed(runtime, job, token)
    except LeaseLost:
        give_back(runtime, lambda session: planning.hand_back_planning(session, job.id, token))
        return []
    except PASSING_FOR_A_PLAN as error:
        cause = cause_of(error)
        give_back(runtime, lambda session: planning.release_planning(session, job.id, token, waits_for=cause))
        runtime.mark.rest()
        raise


def _plan_claimed(runtime: Runtime, job: Job, token: uuid.UUID) -> Sequence[uuid.UUID]:
    settings = runtime.settings

    def renew(session: Session) -> bool:
        return planning.renew_planning(session, job.id, token, lease_seconds=settings.lease_seconds)

    def wanted(session: Session) -> bool:
        return planning.is_planning_wanted(session, job.id, token)

    with held_lease(runtime, renew, wanted, stuck_seconds=settings.page_seconds) as lease:
        plan = _make_plan(runtime, job, lease)
        faults.reach("before_plan_commit")
        with lease.waiting(), runtime.database.transaction() as session:
            chunk_ids = planning.finish_planning(session, job.id, token, plan)
            if chunk_ids is None:
                raise LeaseLost
    runtime.mark.drop(planned=1)
    return chunk_ids


def _give_up(runtime: Runtime, job: Job, token: uuid.UUID) -> None:
    detail = f"The worker was lost or failed {job.attempt - 1} times while it read this job's uploads."
    with runtime.database.transaction() as session:
        planning.fail_planning(session, job.id, token, reason="worker_lost", detail=detail)


def _make_plan(runtime: Runtime, job: Job, lease: Lease) -> Plan:
    with lease.waiting():
        model = runtime.models.catch_up()
    manifest = model.classifier.bundle.manifest
    items, refused = _survey(runtime, job.uploads, lease)
    return Plan(
        model_version=model.version,
        review_threshold=_first_given(job.asked_threshold, runtime.settings.review_threshold, manifest.review_threshold),
        chunks=[[chunks.member(item) for item in group] for group in _batched(items, runtime.settings.chunk_items)],
        refused=refused,
    )


def _first_given(*values: float | None) -> float:
    return next(value for value in values if value is not None)


def _batched(items: Sequence[Item], size: int) -> Iterator[Sequence[Item]]:
    return (items[start : start + size] for start in range(0, len(items), size))


def _survey(runtime: Runtime, uploads: Sequence[Upload], lease: Lease) -> tuple[list[Item], list[NewPrediction]]:
    """Number every item of the job; those that need not be read are answered at once."""
    ordinals = count()
    items: list[Item] = []
    refused: list[NewPrediction] = []
    archives_are_named = len(uploads) > 1  # scans are numbered alike in every box
    for upload in uploads:
        lease.check()
        faults.reach("before_list", item=upload.name)
        for index, name, refusal in _entries(runtime, upload, room=runtime.settings.max_items - len(items) - len(refused)):
            file = f"{upload.name}/{name}" if archives_are_named and index is not None else name
            item = Item(ordinal=next(ordinals), upload_id=upload.id, member_index=index, file=file)
            if refusal is None:
                items.append(item)
            else:
                status = ItemStatus.SKIPPED if refusal.is_junk else ItemStatus.FAILED
                refused.append(predictions.refused(item, reason=refusal.reason, detail=refusal.detail, status=status))
    return items, refused


def _entries(runtime: Runtime, upload: Upload, *, room: int) -> Iterator[tuple[int | None, str, Refusal | None]]:
    """What the upload holds, or what a retry takes of it; an archive that cannot be opened, or has more entries than there is
    room, is one refused item.
    """
    if upload.members == []:
        return
    if not upload.is_archive:
        yield None, upload.name, None if room > 0 else _too_many(runtime)
        return
    try:
        opened = runtime.sources.archive(upload)
    except (ArchiveError, BlobMissing) as error:
        yield None, upload.name, Refusal(getattr(error, "reason", "missing_upload"), str(error))
        return
    if len(opened.infolist()) > room:
        yield None, upload.name, _too_many(runtime)
        return
    taken = set(upload.members or ())
    for member in archives.list_members(opened, max_item_bytes=runtime.settings.max_item_bytes):
        if upload.members is None or member.index in taken:
            yield member.index, member.name, member.refusal


def _too_many(runtime: Runtime) -> Refusal:
    detail = f"With this upload the job would have more than the {runtime.settings.max_items} items allowed."
    return Refusal(TooManyItems.reason, detail)
