from typing import Any

import pytest

from tests.chaos.pictures import Album, as_answer, name_of
from tests.chaos.verdict import Verdict, _find_doubled_jobs, expected_of, judge_events, judge_expired, judge_job, judge_refusals

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


def judged(job: dict[str, Any], rows: Rows, *, is_cancelled: bool = False) -> Verdict:
    verdict = Verdict()
    judge_job(verdict, expected_of(ALBUM, range(len(NUMBERS)), NUMBERS), job, rows, is_cancelled=is_cancelled)
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


def cancelled_job() -> dict[str, Any]:
    return job(state="cancelled", counts={"succeeded": 1})


def test_of_a_job_that_its_client_cancelled_nothing_is_lost_but_what_is_there_must_be_right() -> None:
    verdict = judged(cancelled_job(), rows()[:2], is_cancelled=True)
    assert (verdict.is_good, verdict.cancelled, verdict.lost, verdict.items) == (True, 1, 0, 2)
    assert judged(job(), rows(), is_cancelled=True).unended_jobs == 1  # it went on all the same
    assert judged(cancelled_job(), wrong_class(rows()[:2]), is_cancelled=True).wrong == 1
    assert judged(cancelled_job(), rows(), is_cancelled=True).miscounted_jobs == 1
    assert judged(cancelled_job(), rows()[:2]).unended_jobs == 1


def test_a_job_of_items_that_must_all_fail_has_to_fail() -> None:
    expected = expected_of(ALBUM, [1], [BAD])
    counts = {"total": 1, "succeeded": 0}
    for state, unended in (("failed", 0), ("completed", 1)):
        verdict = Verdict()
        judge_job(verdict, expected, job(state=state, counts=counts), [rows()[1]])
        assert (verdict.unended_jobs, verdict.is_good) == (unended, not unended)


@pytest.mark.parametrize(("statuses", "is_good"), [([410, 410], True), ([200, 200], False), ([410, 200], False)])
def test_a_job_that_should_have_expired_is_gone_with_its_results(statuses: list[int], is_good: bool) -> None:
    verdict = Verdict()
    judge_expired(verdict, "7", statuses)
    assert (verdict.is_good, verdict.expired, verdict.items) == (is_good, is_good, 0)


@pytest.mark.parametrize(
    ("status", "retry_after", "is_good"),
    [(503, "2", True), (503, None, False), (500, None, False), (500, "2", False), (507, None, True), (409, "1", True)],
)
def test_a_refusal_must_say_what_to_do(status: int, retry_after: str | None, is_good: bool) -> None:
    verdict = Verdict(jobs=1)
    judge_refusals(verdict, [{"key": "7", "status": status, "reason": "x", "retry_after": retry_after}])
    assert verdict.is_good == is_good


def test_a_wish_that_was_never_granted_spoils_the_run() -> None:
    assert not Verdict(jobs=1, ungranted=1).is_good


def test_a_webhook_whose_signature_is_wrong_spoils_the_run() -> None:
    assert not Verdict(jobs=1, forged_events=1).is_good


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
