"""What became of everything that was accepted, from the client's log and the service's final answers alone."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from http import HTTPStatus
from typing import Any

import httpx

from tests.chaos.load import retry_key
from tests.chaos.log import Entry, Log
from tests.chaos.pictures import Album, Answer, as_answer, name_of
from tests.chaos.wishes import Wish

Expected = dict[tuple[str, int], Answer]
"""(file, page) → its answer."""

_TOLD = 20
_COUNTED = ("succeeded", "failed", "skipped")
_RESULT_SECONDS = 60.0


@dataclass(slots=True)
class Verdict:
    """Of `jobs` accepted and their `items`: how many were lost, doubled, or wrong. `told` names the first of them.

    Of a job that was cancelled only those items count that have answers, of one that should expire none.
    """

    jobs: int = 0
    items: int = 0
    results: int = 0
    lost: int = 0
    doubled: int = 0
    wrong: int = 0
    unended_jobs: int = 0
    doubled_jobs: int = 0
    miscounted_jobs: int = 0
    retries: int = 0
    cancelled: int = 0
    expired: int = 0
    unexpired: int = 0
    ungranted: int = 0
    events: int = 0
    lost_events: int = 0
    doubled_events: int = 0
    forged_events: int = 0
    improper_refusals: int = 0
    told: list[str] = field(default_factory=list)

    @property
    def is_good(self) -> bool:
        """Nothing lost, nothing doubled, nothing wrong."""
        items = (self.lost, self.doubled, self.wrong)
        jobs = (self.unended_jobs, self.doubled_jobs, self.miscounted_jobs, self.unexpired, self.ungranted)
        events = (self.lost_events, self.doubled_events, self.forged_events)
        return self.jobs > 0 and not any((*items, *jobs, *events, self.improper_refusals))

    def as_json(self) -> dict[str, Any]:
        """For the run's file."""
        return asdict(self) | {"is_good": self.is_good}

    def tell(self, what: str) -> None:
        """Note what was found, if there is room."""
        if len(self.told) < _TOLD:
            self.told.append(what)


def judge(log: Log, album: Album, url: str) -> Verdict:
    """Read every accepted job's final state and results and compare them with what the log and the album say."""
    verdict = Verdict()
    submitted = {entry["key"]: entry for entry in log.entries("submitted")}
    accepted = {entry["key"]: entry["job"] for entry in log.entries("accepted")}
    cancelled = {entry["job"] for entry in log.entries("cancelled")}
    forgotten = {key: job_id for key, job_id in accepted.items() if submitted[key]["wish"] == Wish.EXPIRE}
    with httpx.Client(base_url=url, timeout=_RESULT_SECONDS) as client:
        _find_doubled_jobs(verdict, accepted, _named_jobs(client))
        for key, job_id in accepted.items():
            if key in forgotten:
                paths = (f"/jobs/{job_id}", f"/jobs/{job_id}/results")
                judge_expired(verdict, job_id, [client.get(path).status_code for path in paths])
            else:
                _judge_submission(verdict, album, submitted[key], client, job_id, is_cancelled=job_id in cancelled)
    told = list(log.entries("told"))
    # Expired ones stand in no list.
    _find_doubled_jobs(verdict, forgotten, {(entry["name"], entry["job"]) for entry in told if entry["name"] in forgotten})
    judge_events(verdict, set(accepted.values()).difference(forgotten.values()), told)
    judge_refusals(verdict, log.entries("refused"))
    verdict.retries = sum(key in accepted for key in map(retry_key, accepted))
    verdict.ungranted = sum(1 for _ in log.entries("ungranted"))
    verdict.forged_events = sum(1 for _ in log.entries("forged"))
    return verdict


def _judge_submission(
    verdict: Verdict, album: Album, entry: Entry, client: httpx.Client, job_id: str, *, is_cancelled: bool
) -> None:
    job = client.get(f"/jobs/{job_id}").raise_for_status().json()
    rows = client.get(f"/jobs/{job_id}/results", params={"format": "ndjson"}).raise_for_status().text.splitlines()
    expected = expected_of(album, entry["places"], entry["numbers"])
    judge_job(verdict, expected, job, [json.loads(row) for row in rows], is_cancelled=is_cancelled)


def expected_of(album: Album, places: Iterable[int], numbers: Iterable[int]) -> Expected:
    """What the service has to answer for the album's files of these numbers, at these places of an upload."""
    return {(name_of(place), 1): album.answers[number] for place, number in zip(places, numbers, strict=True)}


def judge_expired(verdict: Verdict, job_id: str, statuses: list[int]) -> None:
    """Add a job that should have expired: whoever asks for it or for its results is told so."""
    verdict.jobs += 1
    is_gone = all(status == HTTPStatus.GONE for status in statuses)
    verdict.expired += is_gone
    verdict.unexpired += not is_gone
    if not is_gone:
        verdict.tell(f"job {job_id} should have expired, and answers {statuses}")


def judge_job(
    verdict: Verdict, expected: Expected, job: dict[str, Any], rows: list[dict[str, Any]], *, is_cancelled: bool = False
) -> None:
    """Add what became of one job. What one that its client cancelled has not done is not lost."""
    verdict.jobs += 1
    verdict.items += len(rows) if is_cancelled else len(expected)
    verdict.results += len(rows)
    verdict.cancelled += is_cancelled
    if job["state"] != ("cancelled" if is_cancelled else _end_of(expected)):
        verdict.unended_jobs += 1
        verdict.tell(f"job {job['id']} is {job['state']}: {job['detail']}")
    found = Counter((row["file"], row["page"]) for row in rows)
    verdict.lost += 0 if is_cancelled else sum(one not in found for one in expected)
    verdict.doubled += sum(count - 1 for count in found.values())
    _judge_rows(verdict, job, rows, expected)
    _judge_counts(verdict, job, rows, counts_all=not is_cancelled)


def _end_of(expected: Expected) -> str:
    return "completed" if any(answer["status"] == "succeeded" for answer in expected.values()) else "failed"


def _judge_rows(verdict: Verdict, job: dict[str, Any], rows: Iterable[dict[str, Any]], expected: Expected) -> None:
    for row in rows:
        if as_answer(row) != expected.get((row["file"], row["page"])):
            verdict.wrong += 1
            verdict.tell(f"job {job['id']}, {row['file']}: {as_answer(row)} {row['detail'] or ''}")


def _judge_counts(verdict: Verdict, job: dict[str, Any], rows: list[dict[str, Any]], *, counts_all: bool) -> None:
    counts, statuses = job["counts"], Counter(row["status"] for row in rows)
    is_whole = counts["total"] == len(rows) if counts_all else counts["total"] >= len(rows)
    if not is_whole or any(counts[name] != statuses[name] for name in _COUNTED):
        verdict.miscounted_jobs += 1
        verdict.tell(f"job {job['id']} counts {counts}, but its rows {dict(statuses)}")


def judge_events(verdict: Verdict, jobs: Iterable[str], told: Iterable[Entry]) -> None:
    """Add what the receiver of webhooks was told: of each job's end once. The same id again is the same event, sent again."""
    ids: dict[str, set[str]] = {job_id: set() for job_id in jobs}
    for entry in told:
        ids.setdefault(entry["job"], set()).add(entry["webhook"])
    for job_id, found in ids.items():
        verdict.events += len(found)
        verdict.lost_events += not found
        verdict.doubled_events += max(0, len(found) - 1)
        if len(found) != 1:
            verdict.tell(f"{len(found)} events told the end of job {job_id}")


def judge_refusals(verdict: Verdict, refused: Iterable[Entry]) -> None:
    """Add answers that say neither when to come again nor what the client could do: a fault of the service's own."""
    for entry in refused:
        is_proper = entry["status"] < HTTPStatus.INTERNAL_SERVER_ERROR or entry["status"] == HTTPStatus.INSUFFICIENT_STORAGE
        if entry["status"] == HTTPStatus.SERVICE_UNAVAILABLE and entry["retry_after"]:
            is_proper = True
        if not is_proper:
            verdict.improper_refusals += 1
            verdict.tell(f"submission {entry['key']} was answered {entry['status']} {entry['reason']}")


def _named_jobs(client: httpx.Client) -> Iterator[tuple[str, str]]:
    """(key, id) of every job that the service knows: its name, or that of the job that it tries again, is the key."""
    cursor: str | None = None
    while True:
        parameters = {"limit": 500} | ({"cursor": cursor} if cursor else {})
        page = client.get("/jobs", params=parameters).raise_for_status().json()
        yield from ((retry_key(job["name"]) if job["retry_of"] else job["name"], job["id"]) for job in page["jobs"])
        if not (cursor := page["next_cursor"]):
            return


def _find_doubled_jobs(verdict: Verdict, accepted: dict[str, str], named: Iterable[tuple[str, str]]) -> None:
    """A submission that was repeated because its answer was lost must not have made a second job."""
    for name, job_id in named:
        if accepted.get(name, job_id) != job_id:
            verdict.doubled_jobs += 1
            verdict.tell(f"job {job_id} is a second one for the submission {name}")
