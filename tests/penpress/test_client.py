from collections.abc import Iterator

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from penpress.client import Client
from penpress.errors import BadAnswer, BadKey, Refused, Unreachable
from tests.penpress.fake_service import HEADER, FakeService, serving
from tests.pictures import zip_of


@pytest.fixture
def service() -> FakeService:
    return FakeService()


@pytest.fixture
def client(service: FakeService) -> Iterator[Client]:
    with serving(service.app()) as url, Client(url) as client:
        yield client


def submit(client: Client, *names: str) -> str:
    data = zip_of(dict.fromkeys(names, b"x"))
    return client.submit_zip([data[:10], data[10:]], size=len(data), name="box 17")["id"]


def test_a_job_from_upload_to_results(client: Client) -> None:
    sent: list[int] = []
    data = zip_of({"a.png": b"x", "b.png": b"y"})
    job = client.submit_zip([data[:10], data[10:]], size=len(data), name="box 17", on_progress=sent.append)
    assert job["name"] == "box 17"
    assert sent == [10, len(data)]
    states: list[str] = []
    finished = client.wait(job["id"], lambda job: states.append(job["state"]))
    assert states == ["running", "completed"]
    assert finished["counts"]["total"] == 2
    assert [result["file"] for result in client.results(job["id"])] == ["a.png", "b.png"]
    assert "links" not in next(client.results(job["id"]))


def test_csv_comes_line_by_line_as_the_service_wrote_it(client: Client) -> None:
    lines = list(client.results_csv(submit(client, "a.png", "odd\u2028name.png")))
    assert lines[0] == HEADER
    assert [line.partition(",1,")[0] for line in lines[1:]] == ["a.png", "odd\u2028name.png"]


def test_wait_asks_as_often_as_it_is_told(client: Client, service: FakeService) -> None:
    client.wait(submit(client, "a.png"))
    assert service.polls[1] - service.polls[0] >= 0.2


def test_jobs_are_listed_over_all_pages(client: Client) -> None:
    ids = [submit(client, "a.png") for _ in range(3)]
    assert [job["id"] for job in client.jobs()] == ids


def test_a_refusal_carries_the_services_sentence(client: Client, service: FakeService) -> None:
    with pytest.raises(Refused, match=r"^No such job\.$") as refused:
        client.job("nonsense")
    assert (refused.value.status, refused.value.reason) == (404, "not_found")
    service.refusal = {"title": "Too large", "status": 413, "detail": "The upload is too large.", "reason": "too_large"}
    with pytest.raises(Refused, match=r"^The upload is too large\.$"):
        submit(client, "a.png")


def test_a_service_that_is_busy_for_a_moment_is_asked_again(client: Client, service: FakeService) -> None:
    job_id = submit(client, "a.png")
    service.failures = 2
    assert client.job(job_id)["id"] == job_id


def test_a_service_that_stays_busy_is_given_up(client: Client, service: FakeService, monkeypatch) -> None:
    monkeypatch.setattr("penpress.client._RETRY_DELAYS_SECONDS", (0.0, 0.0))
    job_id = submit(client, "a.png")
    service.failures = 99
    with pytest.raises(Refused, match="The service answered 503"):
        client.job(job_id)


def busy(status: int, retry_after: str | None = None) -> Response:
    return PlainTextResponse("later", status, headers={"Retry-After": retry_after} if retry_after else None)


def test_a_submission_whose_answer_was_lost_is_sent_again_and_makes_no_second_job(
    client: Client, service: FakeService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("penpress.client._RETRY_DELAYS_SECONDS", (0.0,))
    monkeypatch.setattr("penpress.client._PATIENT_DELAY_SECONDS", 0.01)
    service.lost_answers = [busy(503), busy(502), busy(429, "0.2")]
    job_id = submit(client, "a.png")
    assert list(service.jobs) == [job_id]
    assert len({key for _, key in service.sent}) == 1
    times = [sent for sent, _ in service.sent]
    assert len(times) == 4
    assert times[3] - times[2] >= 0.2  # as the service asked
    assert submit(client, "a.png") != job_id


def test_a_submission_that_was_refused_is_not_sent_again(client: Client, service: FakeService) -> None:
    service.refusal = {"title": "Full", "status": 507, "detail": "The disk is full.", "reason": "disk_full"}
    with pytest.raises(Refused, match="disk is full"):
        submit(client, "a.png")
    assert len(service.sent) == 1


def test_an_iterator_is_sent_but_once(client: Client, service: FakeService) -> None:
    service.lost_answers = [busy(503)]
    data = zip_of({"a.png": b"x"})
    with pytest.raises(Refused, match="503"):
        client.submit_zip(iter([data]), size=len(data), name="box 17")
    assert len(service.sent) == 1


def test_a_caller_may_name_the_submission(client: Client, service: FakeService) -> None:
    data = zip_of({"a.png": b"x"})
    client.submit_zip([data], size=len(data), name="box 17", idempotency_key="volume-3")
    assert service.sent[0][1] == "volume-3"


def test_results_that_break_off_go_on_where_they_did(client: Client, service: FakeService) -> None:
    names = [f"{number}.png" for number in range(5)]
    job_id = submit(client, *names)
    service.breaks = [3, 0, 4]
    assert [result["file"] for result in client.results(job_id)] == names
    assert service.breaks == []


def test_nobody_there_is_one_sentence(monkeypatch) -> None:
    monkeypatch.setattr("penpress.client._RETRY_DELAYS_SECONDS", ())
    with Client("http://127.0.0.1:9") as client, pytest.raises(Unreachable, match=r"http://127\.0\.0\.1:9 does not answer"):
        client.job("1")


@pytest.mark.parametrize("url", ["nonsense", "http://", "ftp://127.0.0.1/", "http://[bad"])
def test_an_address_that_is_none_is_one_sentence(url: str, monkeypatch) -> None:
    monkeypatch.setattr("penpress.client._RETRY_DELAYS_SECONDS", ())
    with pytest.raises(Unreachable), Client(url) as client:
        client.job("1")


def test_something_else_on_that_port_is_one_sentence() -> None:
    async def hello(request: Request) -> Response:
        return PlainTextResponse("hello")

    app = Starlette(routes=[Route("/{path:path}", hello)])
    with serving(app) as url, Client(url) as client, pytest.raises(BadAnswer, match="is not Penpress"):
        client.job("1")


@pytest.fixture
def heard() -> list[str | None]:
    return []


@pytest.fixture
def listening(heard: list[str | None]) -> Iterator[str]:
    """A service that notes how each request says who it is, and refuses it."""

    async def refuse(request: Request) -> Response:
        heard.append(request.headers.get("authorization"))
        problem = {"title": "Unauthorized", "status": 401, "detail": "The service knows no such key.", "reason": "key_unknown"}
        return JSONResponse(problem, 401, media_type="application/problem+json")

    with serving(Starlette(routes=[Route("/{path:path}", refuse, methods=["GET", "POST"])])) as url:
        yield url


def test_the_key_goes_with_every_request_in_a_header(
    listening: str, heard: list[str | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PENPRESS_KEY", "pp_environment\n")
    for options in ({"key": "pp_argument"}, {}, {"key": ""}):
        with Client(listening, **options) as client:
            for call in (lambda: client.job("1"), lambda: list(client.results("1")), lambda: submit(client, "a.png")):
                with pytest.raises(Refused, match="knows no such key") as refused:
                    call()
                assert (refused.value.status, refused.value.reason) == (401, "key_unknown")
    assert heard == ["Bearer pp_argument"] * 3 + ["Bearer pp_environment"] * 3 + [None] * 3


@pytest.mark.parametrize("key", ["pp_a b", "schlüssel", "pp_a\nX-Other: 1"])
def test_what_is_no_key_is_refused_before_anything_is_sent(key: str) -> None:
    with pytest.raises(BadKey) as refused:
        Client("http://127.0.0.1:9", key=key)
    assert key not in str(refused.value)
