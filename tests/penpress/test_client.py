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
