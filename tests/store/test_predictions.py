import dataclasses
from typing import Any

import pytest
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from store import predictions
from store.models import Job
from store.predictions import Filters, NewPrediction
from store.states import GradcamPolicy, ItemStatus
from tests.store.rows import make_answer, make_item, make_job


def answer_with(session: Session, **changes: Any) -> NewPrediction:
    values: dict[str, Any] = {
        "page": 1,
        "predicted_class": "printed",
        "confidence": 0.8,
        "probabilities": {"handwritten": 0.2, "printed": 0.8},
        "review": None,
        "cam": b"map",
        "gradcam": GradcamPolicy.REVIEW,
    }
    return predictions.succeeded(make_item(make_job(session)), **values | changes)


def write(session: Session, job: Job, *rows: NewPrediction) -> None:
    predictions.insert_predictions(session, rows, job_id=job.id, model_version="7")


def read(session: Session, job: Job, **filters: Any) -> list[tuple[int, int]]:
    rows = predictions.list_results(session, job, filters=Filters(**filters), limit=100)
    return [(row.ordinal, row.page) for row in rows]


@pytest.mark.parametrize(("review", "needed"), [("unfamiliar", True), (None, False)])
def test_an_answer_needs_review_exactly_when_it_has_a_reason(session: Session, review: str | None, needed: bool) -> None:
    answer = answer_with(session, review=review)
    assert (answer.status, answer.reason, answer.needs_review) == (ItemStatus.SUCCEEDED, review, needed)


@pytest.mark.parametrize(
    ("policy", "kept_when_sure", "kept_when_doubtful"),
    [(GradcamPolicy.REVIEW, False, True), (GradcamPolicy.ALWAYS, True, True), (GradcamPolicy.NEVER, False, False)],
)
def test_the_policy_says_which_maps_stay(
    session: Session, policy: GradcamPolicy, kept_when_sure: bool, kept_when_doubtful: bool
) -> None:
    kept = [answer_with(session, gradcam=policy, review=review).cam is not None for review in (None, "low_confidence")]
    assert kept == [kept_when_sure, kept_when_doubtful]


def test_a_refused_item_names_no_model(session: Session) -> None:
    job = make_job(session)
    write(
        session, job, predictions.refused(make_item(job), reason="empty_file", detail="Empty."), make_answer(make_item(job, 1))
    )
    rows = predictions.list_results(session, job, filters=Filters(), limit=10)
    assert [(row.status, row.model_version) for row in rows] == [(ItemStatus.FAILED, None), (ItemStatus.SUCCEEDED, "7")]


def test_a_detail_that_quotes_hostile_bytes_is_stored(session: Session) -> None:
    job = make_job(session)
    write(session, job, predictions.refused(make_item(job), reason="broken_image", detail="bad chunk \x00\ud800" + "x" * 5000))
    [row] = predictions.list_results(session, job, filters=Filters(), limit=10)
    assert row.detail
    assert row.detail.startswith("bad chunk ��xxx")
    assert len(row.detail) == 1000


def test_a_page_of_a_job_is_answered_once(session: Session) -> None:
    job = make_job(session)
    write(session, job, make_answer(make_item(job)))
    with pytest.raises(IntegrityError):
        write(session, job, make_answer(make_item(job)))


def test_nothing_to_write_is_nothing_written(session: Session) -> None:
    assert predictions.insert_predictions(session, [], job_id=None, model_version=None) == []


@pytest.fixture
def job(session: Session) -> Job:
    """Five rows: a document of two pages, a doubtful page, a failed and a skipped item."""
    job = make_job(session)
    items = [make_item(job, ordinal) for ordinal in range(4)]
    write(
        session,
        job,
        predictions.refused(items[3], reason="system_file", detail="", status=ItemStatus.SKIPPED),
        make_answer(items[0], page=2, winner="handwritten", confidence=0.99),
        make_answer(items[0], page=1, winner="printed", confidence=0.95),
        make_answer(items[1], winner="handwritten", confidence=0.6, review="low_confidence"),
        predictions.refused(items[2], reason="broken_image", detail=""),
    )
    write(session, make_job(session), dataclasses.replace(make_answer(items[0]), ordinal=9))
    return job


def test_rows_come_in_the_order_of_the_items_and_their_pages(session: Session, job: Job) -> None:
    assert read(session, job) == [(0, 1), (0, 2), (1, 1), (2, 1), (3, 1)]


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"predicted_class": "handwritten"}, [(0, 2), (1, 1)]),
        ({"status": ItemStatus.FAILED}, [(2, 1)]),
        ({"status": ItemStatus.SKIPPED}, [(3, 1)]),
        ({"min_confidence": 0.95}, [(0, 1), (0, 2)]),
        ({"max_confidence": 0.95}, [(0, 1), (1, 1)]),
        ({"min_confidence": 0.7, "max_confidence": 0.97}, [(0, 1)]),
        ({"needs_review": True}, [(1, 1)]),
        ({"needs_review": False, "status": ItemStatus.SUCCEEDED}, [(0, 1), (0, 2)]),
        ({"predicted_class": "printed", "needs_review": True}, []),
    ],
)
def test_each_filter_keeps_what_it_names(
    session: Session, job: Job, filters: dict[str, Any], expected: list[tuple[int, int]]
) -> None:
    assert read(session, job, **filters) == expected


@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_pages_of_any_size_make_up_the_whole_without_gap_or_repeat(session: Session, job: Job, size: int) -> None:
    found: list[tuple[int, int]] = []
    while rows := predictions.list_results(session, job, filters=Filters(), limit=size, after=found[-1] if found else None):
        found += [(row.ordinal, row.page) for row in rows]
    assert found == read(session, job)


def test_a_row_knows_of_its_map_without_reading_it(session: Session, job: Job) -> None:
    session.expunge_all()
    rows = predictions.list_results(session, job, filters=Filters(status=ItemStatus.SUCCEEDED), limit=10)
    assert [row.has_cam for row in rows] == [False, False, True]
    assert all("cam" not in row.__dict__ for row in rows)
    found = predictions.get_prediction(session, rows[2].id, owner_id=None)
    assert found
    prediction, upload = found
    assert (prediction.cam, upload.id) == (b"map", prediction.upload_id)


def test_a_prediction_that_is_not_there_is_none(session: Session, job: Job) -> None:
    assert predictions.get_prediction(session, job.id, owner_id=None) is None
