"""A small Python client for a running Penpress, the one that the command line uses.

    with Client("http://127.0.0.1:8000", key="pp_…") as client:
        job = client.submit_zip(chunks, size=n, name="volume 3")
        job = client.wait(job["id"])
        for result in client.results(job["id"]):
            print(result["file"], result["predicted_class"])

Everything raises a `ClientError`: `BadKey`, `Unreachable`, `BadAnswer`, or `Refused` with the sentence that the service gave.
"""

import json
import os
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from types import TracebackType
from typing import Any, Self, TypedDict, cast

import httpx

from penpress.errors import BadAnswer, BadKey, ClientError, Refused, Unreachable
from penpress.results import Result, result_of
from penpress.retries import delay_after, passes, until, with_retries

_TIMEOUT = httpx.Timeout(60.0, connect=5.0)
_SUBMIT_TIMEOUT = httpx.Timeout(600.0, connect=5.0)
_RETRY_DELAYS_SECONDS = (0.2, 0.5, 1.0)
_POLL_SECONDS = 0.5
_KEY_VARIABLE = "PENPRESS_KEY"
_LONGEST_POLL_SECONDS = 10.0
_PATIENCE_SECONDS = 300.0
_PATIENT_DELAY_SECONDS = 2.0
FINAL_STATES = frozenset({"completed", "failed", "cancelled", "expired"})


class Job(TypedDict):
    """A job as the service describes it; times are ISO 8601, `progress` is 0 to 1."""

    id: str
    name: str | None
    state: str
    model_version: str | None
    counts: dict[str, int | None]
    progress: float
    images_per_second: float | None
    created_at: str
    started_at: str | None
    finished_at: str | None
    reason: str | None
    detail: str | None
    links: dict[str, str]


class Client:
    """A connection to the service at `url`. Not for use by several threads at once."""

    def __init__(self, url: str, *, key: str | None = None) -> None:
        """Nothing is sent yet. `key` goes with every request; by default what PENPRESS_KEY holds, if anything.

        Raises `Unreachable` for what is no address, and `BadKey` for what is no key.
        """
        self.url = url.rstrip("/")
        _check_address(url)
        self._http = httpx.Client(base_url=self.url, timeout=_TIMEOUT, headers=_authorization(key))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Give the connections back."""
        self._http.close()

    def submit_zip(
        self,
        body: Iterable[bytes],
        *,
        size: int,
        name: str,
        review_threshold: float | None = None,
        gradcam: str | None = None,
        idempotency_key: str | None = None,
        on_progress: Callable[[int], None] | None = None,
    ) -> Job:
        """Send a zip of `size` bytes and return its new job; `on_progress` is told the bytes sent so far.

        Where it is not known whether the service has it, it is sent again, for five minutes, under the same idempotency key (by
        default one of its own): there is never a second job. An iterator can be sent but once; pass a list, or another
        iterable that begins anew. A service that was not there to begin with is given a second or two.
        """
        was_reached = False
        key = idempotency_key or str(uuid.uuid4())
        options = {"name": name, "review_threshold": review_threshold, "gradcam": gradcam}
        params = {name: value for name, value in options.items() if value is not None}
        headers = {"Content-Type": "application/zip", "Content-Length": str(size), "Idempotency-Key": key}

        def content() -> Iterator[bytes]:
            nonlocal was_reached
            was_reached = True
            yield from _counted(body, on_progress)

        def delays() -> Iterator[float]:
            if iter(body) is body:
                return
            yield from _RETRY_DELAYS_SECONDS
            if was_reached:
                yield from until(_PATIENCE_SECONDS, _PATIENT_DELAY_SECONDS)

        def send() -> httpx.Response:
            return self._send("POST", "/jobs", params=params, content=content(), headers=headers, timeout=_SUBMIT_TIMEOUT)

        return cast(Job, _object(with_retries(send, delays())))

    def job(self, job_id: str) -> Job:
        """How the job stands."""
        return cast(Job, _object(self._get(f"/jobs/{job_id}")))

    def jobs(self) -> Iterator[Job]:
        """Every job, newest first, page by page."""
        cursor: str | None = None
        while True:
            page = _object(self._get("/jobs", params={"cursor": cursor} if cursor else {}))
            yield from page["jobs"]
            cursor = page.get("next_cursor")
            if not cursor:
                return

    def wait(self, job_id: str, on_progress: Callable[[Job], None] | None = None) -> Job:
        """Ask until the job has ended, as often as the service's Retry-After says; `on_progress` gets every answer.

        A job goes on while nobody asks: a service that does not answer is given five minutes to come back.
        """
        while True:
            response = self._get_patiently(f"/jobs/{job_id}")
            job = cast(Job, _object(response))
            if on_progress:
                on_progress(job)
            if job["state"] in FINAL_STATES:
                return job
            time.sleep(_retry_after(response))

    def results(self, job_id: str) -> Iterator[Result]:
        """The job's results in the order of its files."""
        for line in self._lines(f"/jobs/{job_id}/results", format="ndjson"):
            if line.strip():
                yield result_of(json.loads(line))

    def results_csv(self, job_id: str) -> Iterator[str]:
        """The job's results as CSV: lines with their ends, the first one the header. A quoted value may span lines."""
        return self._lines(f"/jobs/{job_id}/results", format="csv")

    def _get_patiently(self, path: str) -> httpx.Response:
        return with_retries(lambda: self._get(path), until(_PATIENCE_SECONDS, _PATIENT_DELAY_SECONDS))

    def _get(self, path: str, params: dict[str, Any] | None = None) -> httpx.Response:
        return with_retries(lambda: self._send("GET", path, params=params), iter(_RETRY_DELAYS_SECONDS))

    def _send(self, method: str, path: str, **options: Any) -> httpx.Response:
        with self._reaching():
            response = self._http.request(method, path, **options)
        _refuse(response)
        return response

    def _lines(self, path: str, **params: str) -> Iterator[str]:
        """The lines of a streamed answer; one that breaks off is asked for again, and what was given already is left out."""
        given, delays = 0, iter(_RETRY_DELAYS_SECONDS)
        while True:
            try:
                for line in islice(self._stream(path, params), given, None):
                    given, delays = given + 1, iter(_RETRY_DELAYS_SECONDS)
                    yield line
                return
            except ClientError as error:
                delay = next(delays, None)
                if delay is None or not passes(error):
                    raise
                time.sleep(delay_after(error, delay))

    def _stream(self, path: str, params: dict[str, str]) -> Iterator[str]:
        """The lines, cut at line feeds only: file names may hold any other separator."""
        with self._reaching(), self._http.stream("GET", path, params=params) as response:
            if response.is_error:
                response.read()
                _refuse(response)
            rest = ""
            for text in response.iter_text():
                *lines, rest = (rest + text).split("\n")
                yield from (line + "\n" for line in lines)
            if rest:
                yield rest

    @contextmanager
    def _reaching(self) -> Iterator[None]:
        try:
            yield
        except httpx.InvalidURL as error:
            raise Unreachable(f"{self.url} is not an address: {error}.") from error
        except (httpx.TransportError, httpx.DecodingError) as error:
            raise Unreachable(f"The service at {self.url} does not answer ({error or type(error).__name__}).") from error


def _authorization(key: str | None) -> dict[str, str]:
    key = os.environ.get(_KEY_VARIABLE, "").strip() if key is None else key
    if not key:
        return {}
    if not (key.isascii() and key.isprintable() and " " not in key):
        raise BadKey
    return {"Authorization": f"Bearer {key}"}


def _check_address(url: str) -> None:
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise Unreachable(f"{url} is not an address: {error}.") from error
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise Unreachable(f"{url} is not an address; write http://…")


def _counted(body: Iterable[bytes], on_progress: Callable[[int], None] | None) -> Iterator[bytes]:
    sent = 0
    for chunk in body:
        yield chunk
        sent += len(chunk)
        if on_progress:
            on_progress(sent)


def _refuse(response: httpx.Response) -> None:
    """Raise `Refused` with the detail of the problem (RFC 9457), if the response is one."""
    if response.is_success:
        return
    try:
        problem = response.json()
        detail, reason = problem.get("detail") or problem.get("title"), problem.get("reason")
    except (ValueError, AttributeError):
        detail, reason = None, None
    sentence = detail or f"The service answered {response.status_code} {response.reason_phrase}."
    raise Refused(str(sentence), status=response.status_code, reason=reason, retry_after=_asked_delay(response))


def _object(response: httpx.Response) -> dict[str, Any]:
    try:
        answer = response.json()
    except ValueError:
        answer = None
    if not isinstance(answer, dict):
        raise BadAnswer(f"What answers at {response.url.host}:{response.url.port} is not Penpress.")
    return answer


def _asked_delay(response: httpx.Response) -> float | None:
    """Seconds, where the service asked for some."""
    try:
        return float(response.headers["Retry-After"])
    except (KeyError, ValueError):  # it may be a date
        return None


def _retry_after(response: httpx.Response) -> float:
    return min(max(_asked_delay(response) or _POLL_SECONDS, 0.05), _LONGEST_POLL_SECONDS)
