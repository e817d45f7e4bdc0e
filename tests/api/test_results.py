import base64
import csv
import io
import json
from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

import httpx
import pytest
from fastapi.testclient import TestClient

from api import results
from api.app import create_app
from api.results_format import CSV_COLUMNS, csv_lines, csv_row, safe_cell
from store import predictions, retention
from store.database import Database
from store.models import Prediction
from store.settings import Settings
from tests.penpress.fake_service import serving
from tests.pictures import DARK, GREY, LIGHT, png

Finished = Callable[..., dict[str, Any]]

FILES = {"a.png": png(DARK), "b.png": png(LIGHT), "c.png": png(GREY), "d.png": b"nothing", "=cmd.png": png(DARK)}


@pytest.fixture
def job(finished: Finished) -> dict[str, Any]:
    return finished(FILES)


def files(client: TestClient, job: dict[str, Any], **query: Any) -> list[str]:
    return [item["file"] for item in client.get(job["links"]["results"], params=query).json()["items"]]


def test_results_come_in_the_order_of_the_items(client: TestClient, job: dict[str, Any]) -> None:
    assert files(client, job) == list(FILES)


def test_pages_join_without_gap_or_overlap(client: TestClient, job: dict[str, Any]) -> None:
    seen, cursor = [], None
    while True:
        page = client.get(job["links"]["results"], params={"limit": 2} | ({"cursor": cursor} if cursor else {})).json()
        seen += [item["file"] for item in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert seen == list(FILES)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"class": "handwritten"}, ["a.png", "=cmd.png"]),
        ({"class": "printed", "max_confidence": 0.9}, ["c.png"]),
        ({"status": "failed"}, ["d.png"]),
        ({"status": "succeeded", "min_confidence": 0.9}, ["a.png", "b.png", "=cmd.png"]),
        ({"needs_review": "true"}, ["c.png"]),
    ],
)
def test_filters_by_class_state_and_confidence(
    client: TestClient, job: dict[str, Any], query: dict[str, Any], expected: list[str]
) -> None:
    assert files(client, job, **query) == expected
    streamed = client.get(job["links"]["results_ndjson"], params={"format": "ndjson"} | query).text
    assert [json.loads(line)["file"] for line in streamed.splitlines()] == expected


def test_csv_has_the_promised_columns_and_every_row(client: TestClient, job: dict[str, Any]) -> None:
    answer = client.get(job["links"]["results_csv"])
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert tuple(rows[0]) == CSV_COLUMNS
    assert (
        *("FILE", "PAGE", "CLASS", "CONFIDENCE", "P_HANDWRITTEN", "P_PRINTED"),
        *("MODEL_VERSION", "STATUS", "REASON"),
    ) == CSV_COLUMNS
    assert [row["FILE"] for row in rows] == ["a.png", "b.png", "c.png", "d.png", "'=cmd.png"]
    assert rows[3] | {} == dict.fromkeys(CSV_COLUMNS, "") | {
        "FILE": "d.png",
        "PAGE": "1",
        "STATUS": "failed",
        "REASON": "not_an_image",
    }
    assert float(rows[0]["P_HANDWRITTEN"]) == float(rows[0]["CONFIDENCE"])


@pytest.mark.parametrize("form", ["csv", "ndjson"])
def test_a_stream_of_many_pieces_is_the_whole(
    client: TestClient, job: dict[str, Any], form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = client.get(job["links"][f"results_{form}"]).text
    monkeypatch.setattr(results, "_PIECE_ROWS", 2)
    assert client.get(job["links"][f"results_{form}"]).text == whole


@pytest.mark.parametrize("form", ["csv", "ndjson"])
def test_a_stream_whose_job_expires_breaks_off_instead_of_ending(
    settings: Settings, database: Database, job: dict[str, Any], form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    read_rows = results._read_rows

    def read_then_expire(*arguments: Any, **options: Any) -> Sequence[Prediction]:
        rows = read_rows(*arguments, **options)
        with database.transaction() as session:
            retention.expire_job(session, UUID(job["id"]))
        return rows

    monkeypatch.setattr(results, "_PIECE_ROWS", 2)
    monkeypatch.setattr(results, "_read_rows", read_then_expire)
    with serving(create_app(settings), lifespan="on") as url:
        address = url + job["links"][f"results_{form}"]
        with pytest.raises(httpx.RemoteProtocolError):
            httpx.get(address)
        assert httpx.get(address).json()["reason"] == "job_expired"


def test_a_page_is_refused_whose_job_expires_under_the_request_although_enough_rows_are_left(
    client: TestClient, database: Database, job: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    list_results = predictions.list_results

    def expire_then_list(*arguments: Any, **options: Any) -> Sequence[Prediction]:
        with database.transaction() as session:
            retention.expire_job(session, UUID(job["id"]), rows=1)
        return list_results(*arguments, **options)

    monkeypatch.setattr(predictions, "list_results", expire_then_list)
    answer = client.get(job["links"]["results"], params={"limit": 1})
    assert (answer.status_code, answer.json()["reason"]) == (410, "job_expired")


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_no_cell_is_a_formula(start: str) -> None:
    assert safe_cell(f"{start}SUM(A1)").startswith("'")
    assert safe_cell("plain.png") == "plain.png"


def test_text_is_quoted_so_that_no_list_separator_splits_it() -> None:
    row = csv_row(
        file='a;=1+1 "x".jpg',
        page=1,
        predicted_class="printed",
        confidence=0.9,
        p_handwritten=0.1,
        p_printed=0.9,
        model_version="3",
        status="succeeded",
        reason=None,
    )
    assert csv_lines([row]) == '"a;=1+1 ""x"".jpg",1,"printed",0.9,0.1,0.9,"3","succeeded",\n'


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        ("text/csv", "text/csv"),
        ("application/x-ndjson", "application/x-ndjson"),
        ("text/html, text/csv;q=0.9", "text/csv"),
        ("*/*", "application/json"),
        ("text/csv;q=0", "application/json"),
        ("text/csv; q=0.5, application/x-ndjson; q=0.8", "application/x-ndjson"),
        ("text/csv, application/json", "text/csv"),
        ("application/json;q=0.1, */*", "application/x-ndjson"),
        ("text/*;q=0.9, application/json;q=0.2", "text/csv"),
        ("text/html,application/xml;q=0.9,*/*;q=0.8", "application/json"),
    ],
)
def test_accept_chooses_the_form(client: TestClient, job: dict[str, Any], accept: str, media_type: str) -> None:
    answer = client.get(job["links"]["results"], headers={"Accept": accept})
    assert answer.headers["content-type"].startswith(media_type)
    assert answer.headers["vary"] == "Accept, Authorization, X-API-Key"


def test_format_beats_accept(client: TestClient, job: dict[str, Any]) -> None:
    answer = client.get(job["links"]["results_csv"], headers={"Accept": "application/x-ndjson"})
    assert answer.headers["content-type"].startswith("text/csv")


def test_every_result_says_whether_it_needs_review_and_why(client: TestClient, job: dict[str, Any]) -> None:
    items = client.get(job["links"]["results"]).json()["items"]
    reasons = [(item["needs_review"], item["reason"]) for item in items]
    assert reasons == [(False, None), (False, None), (True, "low_confidence"), (False, "not_an_image"), (False, None)]
    rows = csv.DictReader(io.StringIO(client.get(job["links"]["results_csv"]).text))
    assert [row["REASON"] for row in rows] == ["", "", "low_confidence", "not_an_image", ""]


def b64(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode()


@pytest.mark.parametrize("query", [{"class": "typed"}, {"limit": 0}, {"format": "xml"}, {"min_confidence": 2}, {"clas": "x"}])
def test_a_bad_query_is_refused(client: TestClient, job: dict[str, Any], query: dict[str, Any]) -> None:
    answer = client.get(job["links"]["self"] + "/results", params=query)
    assert (answer.status_code, answer.json()["reason"]) == (422, "invalid_request")


@pytest.mark.parametrize("cursor", ["!!", "", "MToy\0", b64(f"{2**63}:1"), b64("1:-1"), b64("1:2:3")])
def test_a_foreign_cursor_is_refused(client: TestClient, job: dict[str, Any], cursor: str) -> None:
    assert client.get(job["links"]["results"], params={"cursor": cursor}).json()["reason"] == "bad_cursor"
