import pytest
from sqlalchemy.orm import Session

from store import jobs, planning, predictions, retention, retries
from store.models import Job, Upload
from store.planning import Plan
from store.predictions import Item, NewPrediction
from store.retries import JobNotFinished, NothingFailed
from store.states import ItemStatus, JobState
from tests.store.rows import begin, chunks_of, claim, finish, make_job, make_running_job


def failed(upload: Upload, index: int | None, *, status: ItemStatus = ItemStatus.FAILED, ordinal: int = 0) -> NewPrediction:
    item = Item(ordinal=ordinal, upload_id=upload.id, member_index=index, file="a")
    return predictions.refused(item, reason="bad", detail="It is bad.", status=status)


def make_failed_job(session: Session, *members: tuple[int, int | None], threshold: float | None = None) -> Job:
    """An ended job of three uploads, of which the items at these (upload, place) failed."""
    job = make_job(session, uploads=3, threshold=threshold)
    refused = [failed(job.uploads[upload], index, ordinal=n) for n, (upload, index) in enumerate(members)]
    refused.append(failed(job.uploads[2], 9, status=ItemStatus.SKIPPED, ordinal=99))
    plan = Plan(model_version="7", review_threshold=0.9, chunks=[], refused=refused)
    planning.finish_planning(session, job.id, begin(session, job), plan)
    assert job.state == JobState.FAILED
    return job


def retry(session: Session, job: Job) -> Job:
    return retries.retry_failed(session, job.id, cancel_after=None)


def test_a_retry_takes_the_failed_items_and_nothing_else(session: Session) -> None:
    source = make_failed_job(session, (0, 5), (0, 2), (1, None))
    again = retry(session, source)
    assert (again.state, again.retry_of) == (JobState.QUEUED, source.id)
    assert [upload.members for upload in again.uploads] == [[2, 5], None, []]
    assert [upload.blob_key for upload in again.uploads] == [upload.blob_key for upload in source.uploads]


@pytest.mark.parametrize("asked", [None, 0.8])
def test_a_retry_asks_for_the_threshold_that_was_asked_for_not_for_the_old_models(
    session: Session, asked: float | None
) -> None:
    source = make_failed_job(session, (0, 5), threshold=asked)
    again = retry(session, source)
    assert (source.review_threshold, again.review_threshold, again.asked_threshold) == (0.9, asked, asked)


def test_blobs_outlive_the_job_that_brought_them(session: Session) -> None:
    source = make_failed_job(session, (0, 5))
    again = retry(session, source)
    assert retention.expire_job(session, source.id).blob_keys == []
    jobs.request_cancel(session, again.id, reason="cancelled", detail="")
    assert retention.expire_job(session, again.id).blob_keys == ["key-0", "key-1", "key-2"]


def test_a_job_that_goes_on_is_not_tried_again(session: Session) -> None:
    with pytest.raises(JobNotFinished, match="The job is running"):
        retry(session, make_running_job(session))


def test_where_nothing_failed_there_is_nothing_to_try(session: Session) -> None:
    job = make_running_job(session)
    finish(session, claim(session, chunks_of(session, job)[0].id))
    with pytest.raises(NothingFailed):
        retry(session, job)
