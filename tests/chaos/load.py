"""The load client: submits jobs of many sizes, again where it got no answer, and asks how they do until they have ended. Some
it stops, tries again, or wants forgotten soon.

It is not in a hurry: so many items at a time are under way, and so many a second are begun, that workers are mostly busy but
a fault leaves no long queue behind.
"""

import random
import threading
import time
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus

import httpx

from tests.chaos import wishes
from tests.chaos.errands import Errands
from tests.chaos.log import Log
from tests.chaos.pictures import Album
from tests.chaos.wishes import Wish

_SUBMITTERS = 3
_SIZES = ((1, 4), (5, 40), (41, 160), (161, 500))
_SIZE_WEIGHTS = (40, 40, 17, 3)
_ANSWER_SECONDS = 10.0
_AGAIN_SECONDS = 0.3
_POLL_SECONDS = 0.3
FINISHED = ("completed", "failed", "cancelled", "expired")


@dataclass(frozen=True, slots=True)
class _Job:
    """What was submitted: the album's files of these numbers, under a key of the client's."""

    key: str
    numbers: list[int]
    wish: Wish


@dataclass(slots=True)
class _Open:
    """Jobs that were accepted and have not been seen to end, by id."""

    jobs: dict[str, _Job] = field(default_factory=dict)
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
        with_wishes: bool = False,
    ) -> None:
        self._url, self._album, self._log, self._webhook_url, self._seed = url, album, log, webhook_url, seed
        self._rate, self._at_once = items_per_second, items_at_once
        self._smallest, self._largest = smallest_job, largest_job
        self._with_wishes = with_wishes
        self._open, self._errands = _Open(), Errands()
        self._stopped, self._drained = threading.Event(), threading.Event()
        self._numbers_lock = threading.Lock()
        self._next_number, self._begun_items = 0, 0
        self._submitters = [threading.Thread(target=self._submit_on, daemon=True) for _ in range(_SUBMITTERS)]
        self._poller = threading.Thread(target=self._poll_on, daemon=True)

    @property
    def begun_items(self) -> int:
        """Items of the jobs that were submitted so far, of those whose answers the client wants to keep."""
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
        """Whether within that time every job was seen to end, and every wish was granted. When no more are submitted."""
        deadline = time.monotonic() + seconds
        while (self._open.jobs or self._errands) and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)
        self._drained.set()
        self._poller.join()
        for _ in range(len(self._errands)):
            self._log.note("ungranted")
        return not self._open.jobs and not self._errands

    def submit(
        self, key: str, numbers: list[int], *, wish: Wish = Wish.KEEP, give_up: threading.Event | None = None
    ) -> str | None:
        """Submit one job until it is accepted; its id. None if `give_up` was set before."""
        job = _Job(key, numbers, wish)
        body = self._album.zip_of(numbers)
        self._note_submitted(job, list(range(len(numbers))))
        with httpx.Client(base_url=self._url, timeout=_ANSWER_SECONDS) as client:
            while not (give_up and give_up.is_set()):
                if job_id := self._try(client, job, body):
                    return job_id
                time.sleep(_AGAIN_SECONDS)
        return None

    def _note_submitted(self, job: _Job, places: list[int]) -> None:
        self._log.note("submitted", key=job.key, numbers=job.numbers, places=places, wish=job.wish)
        if job.wish in (Wish.KEEP, Wish.RETRY):  # of the others there may be no answers to judge
            with self._numbers_lock:
                self._begun_items += len(job.numbers)

    def _note_accepted(self, job: _Job, answer: httpx.Response, began: float) -> str:
        job_id = str(answer.json()["id"])
        self._log.note("accepted", key=job.key, job=job_id, began=began, seconds=round(time.monotonic() - began, 4))
        with self._open.lock:
            self._open.jobs[job_id] = job
        return job_id

    def _try(self, client: httpx.Client, job: _Job, body: bytes) -> str | None:
        key, headers = job.key, {"Content-Type": "application/zip", "Idempotency-Key": job.key}
        parameters = {"name": key, "webhook_url": self._webhook_url}
        if job.wish is Wish.EXPIRE:
            parameters["retention_seconds"] = str(wishes.KEPT_SECONDS)
        began = time.monotonic()
        try:
            answer = client.post("/jobs", params=parameters, content=body, headers=headers)
        except httpx.HTTPError as error:
            self._log.note("unanswered", key=key, error=type(error).__name__, began=began)
            return None
        if answer.status_code != HTTPStatus.ACCEPTED:
            seconds = round(time.monotonic() - began, 4)
            retry_after, reason = answer.headers.get("Retry-After"), _reason(answer)
            facts = {"status": answer.status_code, "reason": reason, "retry_after": retry_after, "seconds": seconds}
            self._log.note("refused", key=key, began=began, **facts)
            return None
        job_id = self._note_accepted(job, answer, began)
        if job.wish is Wish.CANCEL:
            soon = random.Random(key).uniform(0.0, wishes.CANCELLED_WITHIN_SECONDS)
            self._errands.add(partial(self._cancel, job_id=job_id), in_seconds=soon)
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
                numbers = self._album.pick(chance, size)
                wish = wishes.draw(chance) if self._with_wishes else Wish.KEEP
            self.submit(f"{self._seed}-{number}", numbers, wish=wish)

    def _is_ahead(self) -> bool:
        under_way = sum(len(job.numbers) for job in list(self._open.jobs.values()))
        return under_way > self._at_once or self._begun_items > self._rate * (time.monotonic() - self._started)

    def _poll_on(self) -> None:
        with httpx.Client(base_url=self._url, timeout=_ANSWER_SECONDS) as client:
            while not self._drained.wait(_POLL_SECONDS):
                for job_id, job in list(self._open.jobs.items()):
                    self._ask(client, job_id, job)
                self._errands.run(client)

    def _ask(self, client: httpx.Client, job_id: str, job: _Job) -> None:
        try:
            answer = client.get(f"/jobs/{job_id}")
        except httpx.HTTPError:
            return
        is_gone = answer.status_code == HTTPStatus.GONE
        if not is_gone and (answer.status_code != HTTPStatus.OK or answer.json()["state"] not in FINISHED):
            return
        self._log.note("finished", job=job_id, state="expired" if is_gone else answer.json()["state"])
        if job.wish is Wish.RETRY:
            self._wish_to_retry(job_id, job)
        if job.wish is Wish.EXPIRE:
            self._errands.add(partial(_is_gone, job_id=job_id))
        with self._open.lock:
            self._open.jobs.pop(job_id, None)

    def _wish_to_retry(self, job_id: str, job: _Job) -> None:
        failed = {
            place: number for place, number in enumerate(job.numbers) if self._album.answers[number]["status"] == "failed"
        }
        if failed:
            again = _Job(retry_key(job.key), list(failed.values()), Wish.KEEP)
            self._note_submitted(again, list(failed))
            self._errands.add(partial(self._retry, job_id=job_id, again=again))

    def _cancel(self, client: httpx.Client, job_id: str) -> bool:
        status = client.post(f"/jobs/{job_id}/cancel").status_code
        if status in (HTTPStatus.OK, HTTPStatus.ACCEPTED):
            self._log.note("cancelled", job=job_id)
        return status in (HTTPStatus.OK, HTTPStatus.ACCEPTED, HTTPStatus.CONFLICT)  # or it has ended

    def _retry(self, client: httpx.Client, job_id: str, again: _Job) -> bool:
        began = time.monotonic()
        answer = client.post(f"/jobs/{job_id}/retry", headers={"Idempotency-Key": again.key})
        if answer.status_code != HTTPStatus.ACCEPTED:
            return False
        self._note_accepted(again, answer, began)
        return True


def retry_key(key: str) -> str:
    """Under which the client tries again what failed of the job that it submitted under `key`."""
    return f"{key}-retry"


def _is_gone(client: httpx.Client, job_id: str) -> bool:
    return client.get(f"/jobs/{job_id}").status_code == HTTPStatus.GONE


def _reason(answer: httpx.Response) -> str | None:
    try:
        return str(answer.json().get("reason"))
    except ValueError:
        return None
