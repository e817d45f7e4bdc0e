from collections.abc import Callable
from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.pictures import png

Finished = Callable[..., dict[str, Any]]


@pytest.mark.parametrize("form", ["json", "csv", "ndjson"])
def test_who_has_the_results_is_sent_none(client: TestClient, finished: Finished, form: str) -> None:
    here = finished({"a.png": png()})["links"]["results"]
    first = client.get(here, params={"format": form})
    again = client.get(here, params={"format": form}, headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content, again.headers["vary"]) == (304, b"", first.headers["vary"])


def test_results_have_another_tag_when_there_are_more_or_others_are_asked_for(
    client: TestClient, work: Callable[[str], None]
) -> None:
    job = client.post("/jobs", files={"files": ("a.png", png())}).json()
    here = job["links"]["results"]
    before = client.get(here).headers["etag"]
    work(job["id"])
    answers = [client.get(here, params=params) for params in ({}, {"limit": "1"}, {"status": "failed"}, {"format": "csv"})]
    assert len({before, *(answer.headers["etag"] for answer in answers)}) == 5
