"""What became of everything that was accepted, from the client's log and the service's final answers alone."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

import httpx

from tests.chaos.log import Entry, Log
from tests.chaos.pictures import Album, as_answer, name_of

_TOLD = 20
_COUNTED = ("succeeded", "failed", "skipped")
_RESULT_SECONDS = 60.0


@dataclass(slots=True)
class Verdict:
    """Of `jobs` accepted and their `items`: how many were lost, doubled, or wrong. `told` names the first of them."""

    jobs: int = 0
    items: int = 0
    results: int = 0
    lost: int = 0
    doubled: int = 0
    wrong: int = 0
    unended_jobs: int = 0
    doubled_jobs: int = 0
    miscounted_jobs: int = 0
    events: int = 0
    lost_events: int = 0
    doubled_events: int = 0
    told: list[str] = field(default_factory=list)

    @property
    def is_good(self) -> bool:
        """Nothing lost, nothing doubled, nothing wrong."""
        items = (self.lost, self.doubled, self.wrong)
        jobs = (self.unended_jobs, self.doubled_jobs, self.miscounted_jobs, self.lost_events, self.doubled_events)
        return self.jobs > 0 and not any((*items, *jobs))

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
    submitted = {entry["key"]: entry["numbers"] for entry in log.entries("submitted")}
    with httpx.Client(base_url=url, timeout=_RESULT_SECONDS) as client:
        accepted = {entry["key"]: entry["job"] for entry in log.entries("accepted")}
        _find_doubled_jobs(verdict, accepted, _named_jobs(client))
        for key, job_id in accepted.items():
            job = client.get(f"/jobs/{job_id}").raise_for_status().json()
            rows = client.get(f"/jobs/{job_id}/results", params={"format": "ndjson"}).raise_for_status().text.splitlines()
            judge_job(verdict, album, submitted[key], job, [json.loads(row) for row in rows])
    judge_events(verdict, accepted.values(), log.entries("told"))
    return verdict


def judge_job(verdict: Verdict, album: Album, numbers: list[int], job: dict[str, Any], rows: list[dict[str, Any]]) -> None:
    """Add what became of one job, whose items are the album's files of these numbers."""
    verdict.jobs += 1
    verdict.items += len(numbers)
    verdict.results += len(rows)
    if job["state"] != "completed":
        verdict.unended_jobs += 1
        verdict.tell(f"job {job['id']} is {job['state']}: {job['detail']}")
    found = Counter((row["file"], row["page"]) for row in rows)
    expected = {(name_of(place), 1): album.answers[number] for place, number in enumerate(numbers)}
    verdict.lost += sum(one not in found for one in expected)
    verdict.doubled += sum(count - 1 for count in found.values())
    _judge_rows(verdict, job, rows, expected)
    _judge_counts(verdict, job, rows)


def _judge_rows(verdict: Verdict, job: dict[str, Any], rows: Iterable[dict[str, Any]], expected: dict[Any, Any]) -> None:
    for row in rows:
        if as_answer(row) != expected.get((row["file"], row["page"])):
            verdict.wrong += 1
            verdict.tell(f"job {job['id']}, {row['file']}: {as_answer(row)} {row['detail'] or ''}")


def _judge_counts(verdict: Verdict, job: dict[str, Any], rows: list[dict[str, Any]]) -> None:
    counts, statuses = job["counts"], Counter(row["status"] for row in rows)
    if counts["total"] != len(rows) or any(counts[name] != statuses[name] for name in _COUNTED):
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


def _named_jobs(client: httpx.Client) -> Iterator[tuple[str, str]]:
    """(name, id) of every job that the service knows; the name is the key that it was submitted with."""
    cursor: str | None = None
    while True:
        parameters = {"limit": 500} | ({"cursor": cursor} if cursor else {})
        page = client.get("/jobs", params=parameters).raise_for_status().json()
        yield from ((job["name"], job["id"]) for job in page["jobs"])
        if not (cursor := page["next_cursor"]):
            return


def _find_doubled_jobs(verdict: Verdict, accepted: dict[str, str], named: Iterable[tuple[str, str]]) -> None:
    """A submission that was repeated because its answer was lost must not have made a second job."""
    for name, job_id in named:
        if accepted.get(name, job_id) != job_id:
            verdict.doubled_jobs += 1
            verdict.tell(f"job {job_id} is a second one for the submission {name}")
