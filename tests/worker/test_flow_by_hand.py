"""A job from upload to results, its messages carried by hand."""

import uuid
from collections.abc import Callable, Sequence

from store import jobs, predictions
from store.models import Job, Prediction
from store.predictions import Filters
from store.states import GradcamPolicy, ItemStatus, JobState
from tests.pictures import DARK, GREY, LIGHT, RIBBON, encoded, picture, png, zip_of
from tests.worker.conftest import HandQueue, MakeRuntime
from worker.plan import plan_job
from worker.runtime import Runtime

Submit = Callable[..., uuid.UUID]
Carry = Callable[[uuid.UUID], None]


def read(runtime: Runtime, job_id: uuid.UUID) -> tuple[Job, Sequence[Prediction]]:
    with runtime.database.transaction() as session:
        job = jobs.get_job(session, job_id, owner_id=None)
        assert job
        return job, predictions.list_results(session, job, filters=Filters(), limit=1000)


def test_every_item_of_a_job_gets_one_row_in_order(runtime: Runtime, submit: Submit, carry: Carry) -> None:
    job_id = submit({"a.png": png(DARK), "box.zip": zip_of({"b.png": png(LIGHT), "c/d.png": png(DARK)})})
    carry(job_id)
    job, rows = read(runtime, job_id)
    assert job.state == JobState.COMPLETED
    assert [(row.file, row.predicted_class) for row in rows] == [
        ("a.png", "handwritten"),
        ("box.zip/b.png", "printed"),
        ("box.zip/c/d.png", "handwritten"),
    ]
    assert (job.total, job.processed, job.succeeded, job.handwritten, job.printed) == (3, 3, 3, 2, 1)
    assert job.finished_at
    assert {row.model_version for row in rows} == {"1"}


def test_each_page_of_a_document_is_a_row_and_the_total_grows(runtime: Runtime, submit: Submit, carry: Carry) -> None:
    tiff = encoded(picture(DARK), "TIFF", save_all=True, append_images=[picture(LIGHT), picture(DARK)])
    job_id = submit({"register.tif": tiff, "a.png": png(LIGHT)})
    carry(job_id)
    job, rows = read(runtime, job_id)
    assert [(row.file, row.page, row.predicted_class) for row in rows] == [
        ("register.tif", 1, "handwritten"),
        ("register.tif", 2, "printed"),
        ("register.tif", 3, "handwritten"),
        ("a.png", 1, "printed"),
    ]
    assert (job.total, job.succeeded) == (4, 4)


def test_one_bad_image_spoils_only_itself(runtime: Runtime, submit: Submit, carry: Carry) -> None:
    job_id = submit({"box.zip": zip_of({"a.png": png(), "b.png": b"no image", "c.png": b"", "d.png": png()})})
    carry(job_id)
    job, rows = read(runtime, job_id)
    assert job.state == JobState.COMPLETED
    assert [row.reason for row in rows] == [None, "not_an_image", "empty_file", None]
    assert (job.succeeded, job.failed) == (2, 2)


def test_doubtful_and_strange_pages_ask_for_review_and_keep_their_map(runtime: Runtime, submit: Submit, carry: Carry) -> None:
    job_id = submit({"a.png": png(GREY), "b.png": png(DARK), "c.png": png(DARK, size=RIBBON)})
    carry(job_id)
    job, rows = read(runtime, job_id)
    assert [row.needs_review for row in rows] == [True, False, True]
    assert [row.reason for row in rows] == ["low_confidence", None, "unusual_shape"]
    assert [row.has_cam for row in rows] == [True, False, True]
    assert job.needs_review == 2


def test_a_job_says_which_maps_to_keep_and_when_to_review(runtime: Runtime, submit: Submit, carry: Carry) -> None:
    always = submit({"a.png": png(DARK)}, gradcam=GradcamPolicy.ALWAYS)
    never = submit({"a.png": png(DARK)}, gradcam=GradcamPolicy.NEVER, threshold=1.0)
    carry(always)
    carry(never)
    assert [row.has_cam for row in read(runtime, always)[1]] == [True]
    assert [(row.has_cam, row.needs_review) for row in read(runtime, never)[1]] == [(False, True)]


def test_a_threshold_of_the_jobs_own_does_not_make_a_strange_page_familiar(
    runtime: Runtime, submit: Submit, carry: Carry
) -> None:
    job_id = submit({"a.png": png(GREY), "b.png": png(DARK, size=RIBBON)}, threshold=0.0)
    carry(job_id)
    assert [row.reason for row in read(runtime, job_id)[1]] == [None, "unusual_shape"]


def test_a_job_without_one_result_has_failed(runtime: Runtime, submit: Submit, carry: Carry) -> None:
    job_id = submit({"a.png": b"nothing"})
    carry(job_id)
    job, _ = read(runtime, job_id)
    assert (job.state, job.reason) == (JobState.FAILED, "no_result")


def test_an_empty_archive_is_a_failed_job_that_says_so(runtime: Runtime, submit: Submit, carry: Carry) -> None:
    job_id = submit({"empty.zip": zip_of({})})
    carry(job_id)
    job, rows = read(runtime, job_id)
    assert (job.state, job.detail, list(rows)) == (JobState.FAILED, "The upload holds no items.", [])


def test_an_archive_that_cannot_be_opened_fails_as_one_item(runtime: Runtime, submit: Submit, carry: Carry) -> None:
    job_id = submit({"bad.zip": b"PK\x05\x06 cut", "a.png": png()})
    carry(job_id)
    job, rows = read(runtime, job_id)
    assert job.state == JobState.COMPLETED
    assert [(row.file, row.status, row.reason) for row in rows] == [
        ("bad.zip", ItemStatus.FAILED, "broken_archive"),
        ("a.png", ItemStatus.SUCCEEDED, None),
    ]


def test_the_limit_on_items_counts_over_the_whole_job(make_runtime: MakeRuntime, submit: Submit, hand_queue: HandQueue) -> None:
    runtime = make_runtime(max_items=4)
    pair = zip_of({"a.png": png(), "b.png": png()})
    job_id = submit(
        {"first.zip": pair, "second.zip": zip_of({f"{name}.png": png() for name in "abc"}), "c.png": png(), "d.png": png()}
    )
    plan_job(runtime, job_id)
    job, rows = read(runtime, job_id)
    assert [(row.file, row.reason) for row in rows] == [("second.zip", "too_many_items"), ("d.png", "too_many_items")]
    assert rows[0].detail == "With this upload the job would have more than the 4 items allowed."
    assert (job.total, job.failed, job.processed) == (5, 2, 2)


def test_messages_that_come_twice_change_nothing(runtime: Runtime, submit: Submit, carry: Carry) -> None:
    job_id = submit({"a.png": png()})
    carry(job_id)
    before = [row.id for row in read(runtime, job_id)[1]]
    carry(job_id)
    assert [row.id for row in read(runtime, job_id)[1]] == before
