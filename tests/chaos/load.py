"""The load client: submits jobs of many sizes, again where it got no answer, and asks how they do until they have ended.

It is not in a hurry: so many items at a time are under way, and so many a second are begun, that workers are mostly busy but
a fault leaves no long queue behind.
"""

import random
import threading
import time
from dataclasses import dataclass, field

import httpx

from tests.chaos.log import Log
from tests.chaos.pictures import Album

_SUBMITTERS = 3
_SIZES = ((1, 4), (5, 40), (41, 160), (161, 500))
_SIZE_WEIGHTS = (40, 40, 17, 3)
_ANSWER_SECONDS = 10.0
_AGAIN_SECONDS = 0.3
_POLL_SECONDS = 0.3
FINISHED = ("completed", "failed", "cancelled", "expired")


@dataclass(slots=True)
class _Open:
    """Jobs that were accepted and have not been seen to end: id → items."""

    jobs: dict[str, int] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)


class Load:
    """`start` begins, `stop` lets what was begun be accepted, `wait` until all has ended."""

    def __init__(
        self,
        url: str,
        album: Album,
        log: Log,
        *,
        webhook_url: str,
        seed: int,
        items_per_second: float,
        items_at_once: int,
        smallest_job: int,
        largest_job: int,
    ) -> None:
        self._url, self._album, self._log, self._webhook_url, self._seed = url, album, log, webhook_url, seed
        self._rate, self._at_once = items_per_second, items_at_once
        self._smallest, self._largest = smallest_job, largest_job
        self._open = _Open()
        self._stopped, self._drained = threading.Event(), threading.Event()
        self._numbers_lock = threading.Lock()
        self._next_number, self._begun_items = 0, 0
        self._submitters = [threading.Thread(target=self._submit_on, daemon=True) for _ in range(_SUBMITTERS)]
        self._poller = threading.Thread(target=self._poll_on, daemon=True)

    @property
    def begun_items(self) -> int:
        """Items of the jobs that were submitted so far."""
        return self._begun_items

    def start(self) -> None:
        """Begin to submit, and to ask."""
        self._started = time.monotonic()
        self.start_asking()
        for thread in self._submitters:
            thread.start()

    def start_asking(self) -> None:
        """Ask how those jobs do that others submit here."""
        self._poller.start()

    def stop(self) -> None:
        """Begin no more jobs; those begun are submitted until they are accepted."""
        self._stopped.set()
        for thread in self._submitters:
            thread.join()

    def wait(self, seconds: float) -> bool:
        """Whether every accepted job was seen to end within that time. When no more are submitted."""
        deadline = time.monotonic() + seconds
        while self._open.jobs and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)
        self._drained.set()
        self._poller.join()
        return not self._open.jobs

    def submit(self, key: str, numbers: list[int], *, give_up: threading.Event | None = None) -> str | None:
        """Submit one job until it is accepted; its id. None if `give_up` was set before."""
        body = self._album.zip_of(numbers)
        self._log.note("submitted", key=key, numbers=numbers)
        with self._numbers_lock:
            self._begun_items += len(numbers)
        with httpx.Client(base_url=self._url, timeout=_ANSWER_SECONDS) as client:
            while not (give_up and give_up.is_set()):
                if job_id := self._try(client, key, body):
                    with self._open.lock:
                        self._open.jobs[job_id] = len(numbers)
                    return job_id
                time.sleep(_AGAIN_SECONDS)
        return None

    def _try(self, client: httpx.Client, key: str, body: bytes) -> str | None:
        headers = {"Content-Type": "application/zip", "Idempotency-Key": key}
        began = time.monotonic()
        try:
            answer = client.post("/jobs", params={"name": key, "webhook_url": self._webhook_url}, content=body, headers=headers)
        except httpx.HTTPError as error:
            self._log.note("unanswered", key=key, error=type(error).__name__, began=began)
            return None
        seconds = round(time.monotonic() - began, 4)
        if answer.status_code != httpx.codes.ACCEPTED:
            retry_after, reason = answer.headers.get("Retry-After"), _reason(answer)
            facts = {"status": answer.status_code, "reason": reason, "retry_after": retry_after, "seconds": seconds}
            self._log.note("refused", key=key, began=began, **facts)
            return None
        job_id = str(answer.json()["id"])
        self._log.note("accepted", key=key, job=job_id, began=began, seconds=seconds)
        return job_id

    def _submit_on(self) -> None:
        while not self._stopped.wait(0.02):
            with self._numbers_lock:
                if self._is_ahead():
                    continue
                number, self._next_number = self._next_number, self._next_number + 1
                chance = random.Random(f"{self._seed} job {number}")
                size = chance.randint(*chance.choices(_SIZES, _SIZE_WEIGHTS)[0])
                size = max(self._smallest, min(self._largest, size))
            self.submit(f"{self._seed}-{number}", self._album.pick(chance, size))

    def _is_ahead(self) -> bool:
        under_way = sum(list(self._open.jobs.values()))
        return under_way > self._at_once or self._begun_items > self._rate * (time.monotonic() - self._started)

    def _poll_on(self) -> None:
        with httpx.Client(base_url=self._url, timeout=_ANSWER_SECONDS) as client:
            while not self._drained.wait(_POLL_SECONDS):
                for job_id in list(self._open.jobs):
                    self._ask(client, job_id)

    def _ask(self, client: httpx.Client, job_id: str) -> None:
        try:
            answer = client.get(f"/jobs/{job_id}")
        except httpx.HTTPError:
            return
        if answer.status_code == httpx.codes.OK and (job := answer.json())["state"] in FINISHED:
            self._log.note("finished", job=job_id, state=job["state"])
            with self._open.lock:
                self._open.jobs.pop(job_id, None)


def _reason(answer: httpx.Response) -> str | None:
    try:
        return str(answer.json().get("reason"))
    except ValueError:
        return None
