from typing import Any

import pytest

from tests.chaos.pictures import Album, as_answer, name_of
from tests.chaos.verdict import Verdict, _find_doubled_jobs, judge_events, judge_job

DARK, BAD = 0, 1
GOOD_ROW = {"status": "succeeded", "reason": None, "predicted_class": "handwritten", "confidence": 0.99, "needs_review": False}
BAD_ROW = {"status": "failed", "reason": "not_an_image", "predicted_class": None, "confidence": None, "needs_review": False}
ALBUM = Album((b"dark", b"bad"), (as_answer(GOOD_ROW), as_answer(BAD_ROW)), (DARK,), (DARK,), (BAD,))
NUMBERS = [DARK, BAD, DARK]

Rows = list[dict[str, Any]]


def rows() -> Rows:
    """What the service has to answer for `NUMBERS`."""
    kinds = (GOOD_ROW, BAD_ROW, GOOD_ROW)
    return [{**kind, "file": name_of(place), "page": 1, "detail": None} for place, kind in enumerate(kinds)]


def job(**changes: Any) -> dict[str, Any]:
    counts = {"total": 3, "succeeded": 2, "failed": 1, "skipped": 0} | changes.pop("counts", {})
    return {"id": "7", "state": "completed", "detail": None, "counts": counts} | changes


def judged(job: dict[str, Any], rows: Rows) -> Verdict:
    verdict = Verdict()
    judge_job(verdict, ALBUM, NUMBERS, job, rows)
    return verdict


def test_a_job_with_one_right_answer_for_each_item_is_good() -> None:
    verdict = judged(job(), rows())
    assert verdict.is_good
    assert (verdict.jobs, verdict.items, verdict.results) == (1, 3, 3)


def test_a_run_in_which_nothing_was_accepted_proves_nothing() -> None:
    assert not Verdict().is_good


def wrong_class(given: Rows) -> Rows:
    return [given[0] | {"predicted_class": "printed"}, *given[1:]]


def other_confidence(given: Rows) -> Rows:
    return [given[0] | {"confidence": 0.98}, *given[1:]]


@pytest.mark.parametrize(
    ("found", "given"),
    [
        ("lost", rows()[:2]),
        ("doubled", [*rows(), rows()[0]]),
        ("wrong", wrong_class(rows())),
        ("wrong", other_confidence(rows())),
        ("wrong", [*rows()[:2], rows()[2] | {"status": "failed", "reason": "worker_lost"}]),
        ("wrong", [*rows(), rows()[0] | {"file": "stranger.png"}]),
    ],
)
def test_a_row_that_differs_from_the_fault_free_run_is_found(found: str, given: Rows) -> None:
    verdict = judged(job(), given)
    assert getattr(verdict, found) == 1
    assert not verdict.is_good


@pytest.mark.parametrize(
    ("found", "given"),
    [
        ("unended_jobs", job(state="running")),
        ("unended_jobs", job(state="failed", detail="No.")),
        ("miscounted_jobs", job(counts={"succeeded": 1})),
        ("miscounted_jobs", job(counts={"total": 4})),
    ],
)
def test_a_job_that_did_not_end_well_is_found(found: str, given: dict[str, Any]) -> None:
    verdict = judged(given, rows())
    assert getattr(verdict, found) == 1
    assert not verdict.is_good


def test_a_submission_that_made_two_jobs_is_found() -> None:
    verdict = judged(job(), rows())
    _find_doubled_jobs(verdict, {"key": "7"}, [("key", "7"), ("key", "8"), ("never answered", "9")])
    assert verdict.doubled_jobs == 1
    assert not verdict.is_good


@pytest.mark.parametrize(
    ("told", "lost", "doubled"),
    [
        ([("7", "a")], 0, 0),
        ([("7", "a"), ("7", "a")], 0, 0),
        ([], 1, 0),
        ([("7", "a"), ("7", "b")], 0, 1),
    ],
)
def test_the_end_of_each_job_is_one_event_however_often_it_is_sent(
    told: list[tuple[str, str]], lost: int, doubled: int
) -> None:
    verdict = judged(job(), rows())
    judge_events(verdict, ["7"], [{"job": job_id, "webhook": event} for job_id, event in told])
    assert (verdict.lost_events, verdict.doubled_events) == (lost, doubled)
    assert verdict.is_good == (lost == doubled == 0)
