"""Clients that submit small jobs at an even rate, whatever becomes of the service, each until it is accepted."""

import itertools
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus

import httpx

_CLIENTS = 8
_ANSWER_SECONDS = 120.0
_AGAIN_SECONDS = 1.0
_numbers = itertools.count()


@dataclass(frozen=True, slots=True)
class Answer:
    """What one request came to. `status` is 0 where the connection gave none; `at` is of the monotonic clock."""

    request: str
    key: str
    at: float
    seconds: float
    status: int
    retry_after: str | None
    job_id: str | None

    @property
    def is_allowed(self) -> bool:
        """Accepted, or refused with a time to come again."""
        if self.status == HTTPStatus.SERVICE_UNAVAILABLE:
            return self.retry_after is not None
        return self.status in (HTTPStatus.OK, HTTPStatus.ACCEPTED)


class Clients:
    """What they were answered is in `answers`."""

    def __init__(self, url: str, body: bytes, *, jobs_per_second: float) -> None:
        self.answers: list[Answer] = []
        self._url, self._body = url, body
        self._pause_seconds = _CLIENTS / jobs_per_second
        self._stopped = threading.Event()

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """They submit during the block; it ends when what they began is accepted."""
        threads = [threading.Thread(target=self._work, args=[number], daemon=True) for number in range(_CLIENTS)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._stopped.set()
            for thread in threads:
                thread.join()

    def accepted(self) -> dict[str, Answer]:
        """By the job's id."""
        return {answer.job_id: answer for answer in list(self.answers) if answer.job_id}

    def _work(self, number: int) -> None:
        due = time.monotonic() + self._pause_seconds * number / _CLIENTS
        with httpx.Client(base_url=self._url, timeout=_ANSWER_SECONDS) as client:
            while not self._stopped.wait(max(0.0, due - time.monotonic())):
                due = max(due + self._pause_seconds, time.monotonic())
                self._submit(client, f"outage-{next(_numbers)}")

    def _submit(self, client: httpx.Client, key: str) -> None:
        """One job, and one look at it."""
        headers = {"Content-Type": "application/zip", "Idempotency-Key": key}
        while True:
            request = httpx.Request("POST", f"{self._url}/jobs?name={key}", content=self._body, headers=headers)
            answer = self._ask(client, key, request)
            if answer.job_id:
                self._ask(client, key, httpx.Request("GET", f"{self._url}/jobs/{answer.job_id}"))
                return
            time.sleep(float(answer.retry_after or _AGAIN_SECONDS))

    def _ask(self, client: httpx.Client, key: str, request: httpx.Request) -> Answer:
        began = time.monotonic()
        try:
            response: httpx.Response | None = client.send(request)
        except httpx.HTTPError:
            response = None
        answer = _answer(request.method, key, began, response)
        self.answers.append(answer)
        return answer


def _answer(method: str, key: str, began: float, response: httpx.Response | None) -> Answer:
    seconds = time.monotonic() - began
    if response is None:
        return Answer(method, key, began, seconds, 0, None, None)
    is_accepted = response.status_code == HTTPStatus.ACCEPTED
    job_id = str(response.json()["id"]) if is_accepted else None
    return Answer(method, key, began, seconds, response.status_code, response.headers.get("Retry-After"), job_id)
