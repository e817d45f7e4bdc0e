"""Rows for the store's tests, with defaults for whatever a test does not care about."""

import uuid
from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from store import chunks, deliveries, jobs, planning, predictions, webhooks
from store.chunks import Claim
from store.deliveries import Delivery, Shares
from store.jobs import NewUpload
from store.models import Chunk, Job, WebhookEvent
from store.planning import Plan
from store.predictions import Item, NewPrediction
from store.states import EventType, GradcamPolicy

LEASE_SECONDS = 60.0
NOTHING = Plan(model_version="7", review_threshold=0.9, chunks=[], refused=[])


def make_job(
    session: Session,
    *,
    name: str = "job",
    uploads: int = 1,
    threshold: float | None = None,
    owner_id: uuid.UUID | None = None,
) -> Job:
    """A queued job."""
    files = [NewUpload(name=f"{n}.png", is_archive=False, blob_key=f"key-{n}", size_bytes=1) for n in range(uploads)]
    return jobs.create_job(
        session, owner_id=owner_id, name=name, uploads=files, gradcam=GradcamPolicy.REVIEW, review_threshold=threshold
    )


def make_item(job: Job, ordinal: int = 0) -> Item:
    return Item(ordinal=ordinal, upload_id=job.uploads[0].id, member_index=ordinal, file=f"{ordinal}.png")


def make_answer(
    item: Item, *, page: int = 1, confidence: float = 0.95, winner: str = "printed", review: str | None = None
) -> NewPrediction:
    """A succeeded row."""
    loser = {"printed": "handwritten", "handwritten": "printed"}[winner]
    return predictions.succeeded(
        item,
        page=page,
        predicted_class=winner,
        confidence=confidence,
        probabilities={winner: confidence, loser: 1 - confidence},
        review=review,
        cam=b"map",
        gradcam=GradcamPolicy.REVIEW,
    )


def begin(session: Session, job: Job) -> uuid.UUID:
    """The token of a planner who has the job."""
    begun = planning.begin_planning(session, job.id, lease_seconds=LEASE_SECONDS)
    assert begun
    assert begun.lease_token
    return begun.lease_token


def make_running_job(session: Session, *, chunk_sizes: Sequence[int] = (1,), refused: Sequence[NewPrediction] = ()) -> Job:
    """A planned job with chunks of these sizes."""
    job = make_job(session)
    ordinals = iter(range(sum(chunk_sizes)))
    members = [[chunks.member(make_item(job, next(ordinals))) for _ in range(size)] for size in chunk_sizes]
    plan = Plan(model_version="7", review_threshold=0.9, chunks=members, refused=refused)
    planning.finish_planning(session, job.id, begin(session, job), plan)
    return job


def chunks_of(session: Session, job: Job) -> list[Chunk]:
    """As the database has them now."""
    session.flush()
    query = select(Chunk).where(Chunk.job_id == job.id).order_by(Chunk.id).execution_options(populate_existing=True)
    return list(session.scalars(query))


def claim(session: Session, chunk_id: uuid.UUID, *, lease_seconds: float = LEASE_SECONDS) -> Claim:
    """The chunk in a worker's hands."""
    claimed = chunks.claim_chunk(session, chunk_id, lease_seconds=lease_seconds)
    assert claimed
    return claimed


def lose(session: Session, chunk_id: uuid.UUID) -> None:
    """Let a claimed chunk's lease run out."""
    past = func.now() - timedelta(seconds=1)
    session.execute(update(Chunk).where(Chunk.id == chunk_id).values(lease_until=past))


def finish(session: Session, claimed: Claim) -> bool:
    """Answer every item of the chunk."""
    return jobs.finish_chunk(session, claimed.chunk_id, claimed.token, [make_answer(item) for item in claimed.items])


def make_told_job(
    session: Session, *, events: Sequence[EventType] = webhooks.DEFAULT_EVENTS, url: str = "https://a.example/"
) -> Job:
    """A queued job whose client wants these events at `url`."""
    job = make_job(session)
    webhooks.subscribe(session, job, url=url, events=events)
    return job


def make_event(session: Session, *, url: str = "https://a.example/") -> WebhookEvent:
    """An event that is due: its job has failed."""
    job = make_told_job(session, url=url)
    planning.fail_planning(session, job.id, begin(session, job), reason="no_result", detail="Nothing came of it.")
    (event,) = list_events(session, job.id)
    return event


def claim_events(
    session: Session, *, limit: int = 10, per_host: int = 10, per_key: int = 10, lease_seconds: float = LEASE_SECONDS
) -> list[Delivery]:
    """Events in a deliverer's hands, of hosts that work before others."""
    return [
        delivery
        for suspects in (False, True)
        for delivery in deliveries.claim_due_events(
            session, suspects=suspects, limit=limit, shares=Shares(per_host, per_key), lease_seconds=lease_seconds
        )
    ]


def list_events(session: Session, job_id: uuid.UUID) -> Sequence[WebhookEvent]:
    """The job's events in the order in which they happened."""
    return session.scalars(select(WebhookEvent).where(WebhookEvent.job_id == job_id).order_by(WebhookEvent.id)).all()
