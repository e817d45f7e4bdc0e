"""Classify one chunk under its lease: read just its members, run the model, write all rows in one transaction."""

import logging
import uuid
from collections.abc import Iterator

from sqlalchemy.orm import Session

from inference import cam, items
from inference.classifier import Classifier
from inference.errors import ImageError, NotEnoughMemory
from inference.items import Answer, PreparedPage
from store import chunks, faults, jobs, predictions
from store.archives import ArchiveError
from store.base import new_id
from store.blobs import BlobMissing
from store.chunks import Claim
from store.predictions import Item, NewPrediction
from store.queue import CLASSIFY_CHUNK
from worker.lease import Lease, LeaseLost, held_lease
from worker.runtime import Runtime
from worker.setbacks import MODEL_GONE, PASSING, cause_of, give_back

_GPU_BATCH = 16
_ZIP_MAGIC = b"PK\x03\x04"
_log = logging.getLogger(__name__)


def classify_chunk(runtime: Runtime, chunk_id: uuid.UUID) -> None:
    """Classify the chunk if it still waits for that; whoever finishes second finds it done and writes nothing."""
    token = new_id()
    runtime.mark.begin(CLASSIFY_CHUNK, chunk_id, token)  # before the lease is there, so that no lease is ever unknown
    with runtime.database.transaction() as session:
        claim = chunks.claim_chunk(session, chunk_id, lease_seconds=runtime.settings.lease_seconds, token=token)
    if claim is not None:
        faults.reach("after_claim")
        _carry_out(runtime, claim)
    runtime.mark.rest()


def _carry_out(runtime: Runtime, claim: Claim) -> None:
    try:
        _classify_claimed(runtime, claim)
    except LeaseLost:
        give_back(runtime, lambda session: chunks.hand_back(session, claim))
    except MODEL_GONE as error:
        _fail_job(runtime, claim, error)
    except PASSING as error:
        cause = cause_of(error)
        give_back(runtime, lambda session: chunks.release_chunk(session, claim, waits_for=cause))
        runtime.mark.rest()
        raise


def _fail_job(runtime: Runtime, claim: Claim, error: Exception) -> None:
    detail = f"Version {claim.model_version} of the model, which this job was planned with, cannot be used: {error}"
    _log.error("job %s failed: %s", claim.job_id, detail)
    with runtime.database.transaction() as session:
        jobs.fail_job(session, claim.job_id, reason="model_gone", detail=detail)


def _classify_claimed(runtime: Runtime, claim: Claim) -> None:
    settings = runtime.settings

    def renew(session: Session) -> bool:
        return chunks.renew_lease(session, claim.chunk_id, claim.token, lease_seconds=settings.lease_seconds)

    def wanted(session: Session) -> bool:
        return chunks.is_wanted(session, claim.chunk_id, claim.token)

    with held_lease(runtime, renew, wanted, stuck_seconds=settings.page_seconds) as lease:
        with lease.waiting():
            classifier = runtime.models.load(claim.model_version).classifier
        rows = list(_answer_items(runtime, claim, classifier, lease))
        faults.reach("before_commit", item=claim.items[0].file)
        with lease.waiting(), runtime.database.transaction() as session:
            if not jobs.finish_chunk(session, claim.chunk_id, claim.token, rows):
                raise LeaseLost


def _answer_items(runtime: Runtime, claim: Claim, classifier: Classifier, lease: Lease) -> Iterator[NewPrediction]:
    """One row for each page of each item, in batches that fit the device; a document may have many pages."""
    size = runtime.settings.batch_images or (_GPU_BATCH if classifier.on_gpu else 1)
    waiting: list[tuple[Item, PreparedPage]] = []
    for item in claim.items:
        for page in _pages_in_hand(runtime, claim, item, classifier, lease):
            waiting.append((item, page))
            if len(waiting) >= size:
                yield from _classify(runtime, claim, classifier, waiting)
                waiting = []
    yield from _classify(runtime, claim, classifier, waiting)


def _pages_in_hand(runtime: Runtime, claim: Claim, item: Item, classifier: Classifier, lease: Lease) -> Iterator[PreparedPage]:
    """The item's pages; whoever finds this process dead while it reads one knows which item that was."""
    pages = _read_pages(runtime, claim, item, classifier)
    while True:
        lease.check()
        runtime.mark.hold([item.ordinal])
        try:
            page = next(pages, None)
        except MemoryError:
            page, pages = PreparedPage(1, NotEnoughMemory()), iter(())
        if page is None:
            return
        yield page


def _read_pages(runtime: Runtime, claim: Claim, item: Item, classifier: Classifier) -> Iterator[PreparedPage]:
    faults.reach("before_decode", item=item.file)
    try:
        data = runtime.sources.read(claim.uploads[item.upload_id], item.member_index)
    except (ArchiveError, BlobMissing) as error:
        yield PreparedPage(1, _Unreadable(getattr(error, "reason", "missing_upload"), str(error)))
        return
    if data.startswith(_ZIP_MAGIC):
        yield PreparedPage(1, _Unreadable("nested_archive", "The item is an archive itself; send it as an upload of its own."))
        return
    yield from items.prepare_pages(data, runtime.limits, classifier.spec)


def _classify(
    runtime: Runtime, claim: Claim, classifier: Classifier, waiting: list[tuple[Item, PreparedPage]]
) -> Iterator[NewPrediction]:
    runtime.mark.hold({item.ordinal for item, _ in waiting})
    answers = items.classify_pages(classifier, [page for _, page in waiting], review_threshold=claim.review_threshold)
    if waiting:
        faults.reach("after_infer", item=waiting[-1][0].file)
    runtime.mark.drop(finished=len(waiting))
    for (item, _), answer in zip(waiting, answers, strict=True):
        yield _row(claim, item, answer)


def _row(claim: Claim, item: Item, answer: Answer) -> NewPrediction:
    result = answer.result
    if isinstance(result, ImageError):
        return predictions.refused(item, page=answer.page, reason=result.reason, detail=str(result))
    return predictions.succeeded(
        item,
        page=answer.page,
        predicted_class=result.predicted_class,
        confidence=result.confidence,
        probabilities=result.probabilities,
        review=answer.review,
        cam=cam.pack(result.cam),
        gradcam=claim.gradcam,
    )


class _Unreadable(ImageError):
    """An item whose bytes could not be had at all."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason  # type: ignore[misc]  # each such item has the reason of what went wrong with it
