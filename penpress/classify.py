"""`penpress classify`: send what the paths name to a service, or classify it here, and write the answers."""

import sys
import time
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import TextIO

from penpress.client import Client, Job
from penpress.errors import CannotWrite, NothingToDo, Unreachable
from penpress.output import TABLE_ROWS, Format, csv_rows, jsonl_lines, write_table
from penpress.progress import classification_meter, upload_meter
from penpress.results import Result, Tally
from penpress.sources import Sources
from penpress.zipped import zip_file, zip_of_files
from store.settings import Settings


def classify_here(sources: Sources, settings: Settings, output: Format, out: Path | None) -> int:
    """Classify in this process and its children, write the results, and return the exit code."""
    from penpress.local import classify_locally, find_model, local_items

    model, items = find_model(settings), local_items(sources, settings)
    if not items:
        raise NothingToDo("The zips hold no files.")
    tally, started = Tally(), time.monotonic()
    with _output(out) as stream:
        with classification_meter(len(items)) as meter:
            results = _counted(classify_locally(items, model, settings, meter.update), tally)
            first = _write(results, output, stream)
        if output is Format.TABLE:
            write_table(first, tally.total, stream)
    return _finish(tally, time.monotonic() - started)


def _write(results: Iterator[Result], output: Format, stream: TextIO) -> list[Result]:
    """Write all the results, or, for a table, go through them and give the first ones, to be drawn below the progress bar."""
    if output is Format.TABLE:
        first = list(islice(results, TABLE_ROWS))
        deque(results, maxlen=0)
        return first
    stream.writelines(csv_rows(results) if output is Format.CSV else jsonl_lines(results))
    return []


def classify_at(url: str, sources: Sources, output: Format, out: Path | None) -> int:
    """Have the service at `url` classify, write the results, and return the exit code."""
    with Client(url) as client:
        try:
            jobs = list(_submit_all(client, sources))
        except Unreachable as error:
            raise Unreachable(f"{error} Start it with `penpress up`, or classify without it by --local.") from error
        started = time.monotonic()
        jobs = _wait_for_all(client, jobs)
        seconds = time.monotonic() - started
        tally = Tally()
        for job in jobs:
            tally.add_counts(job["counts"])
        with _output(out) as stream:
            _write_jobs(client, jobs, tally, output, stream)
    return max(_finish(tally, seconds), *(_report(job) for job in jobs))


def _submit_all(client: Client, sources: Sources) -> Iterator[Job]:
    if sources.files:
        name = sources.files[0].name if len(sources.files) == 1 else f"{len(sources.files)} files"
        yield _submit(client, *zip_of_files(sources.files), name)
    for path in sources.zips:
        yield _submit(client, *zip_file(path), path.name)


def _submit(client: Client, body: Iterable[bytes], size: int, name: str) -> Job:
    with upload_meter(name, size) as meter:
        return client.submit_zip(body, size=size, name=name, on_progress=meter.update)


def _wait_for_all(client: Client, jobs: list[Job]) -> list[Job]:
    latest = {job["id"]: job for job in jobs}
    with classification_meter(None) as meter:

        def show(job: Job) -> None:
            latest[job["id"]] = job
            totals = [each["counts"].get("total") for each in latest.values()]
            done = sum(each["counts"].get("processed") or 0 for each in latest.values())
            meter.update(done, sum(filter(None, totals)) if all(totals) else None)

        return [client.wait(job["id"], show) for job in jobs]


def _write_jobs(client: Client, jobs: list[Job], tally: Tally, output: Format, stream: TextIO) -> None:
    if output is Format.CSV:
        for number, job in enumerate(jobs):
            stream.writelines(islice(client.results_csv(job["id"]), 1 if number else 0, None))
        return
    results = (result for job in jobs for result in client.results(job["id"]))
    if output is Format.JSONL:
        stream.writelines(jsonl_lines(results))
    else:
        write_table(list(islice(results, TABLE_ROWS)), tally.total, stream)


def _report(job: Job) -> int:
    """Say on standard error why a job did not complete, and give the exit code for that."""
    if job["state"] == "completed":
        return 0
    _say(f"Job {job['id']} is {job['state']}: {job['detail'] or job['reason'] or 'no reason given'}")
    return 1


def _finish(tally: Tally, seconds: float) -> int:
    _say(tally.summary(seconds))
    return tally.exit_code


def _counted(results: Iterable[Result], tally: Tally) -> Iterator[Result]:
    for result in results:
        tally.add(result)
        yield result


def _say(sentence: str) -> None:
    sys.stderr.write(f"{sentence}\n")


@contextmanager
def _output(out: Path | None) -> Iterator[TextIO]:
    if out is None:
        yield sys.stdout
        return
    try:
        file = out.open("w", encoding="utf-8", newline="")
    except OSError as error:
        raise CannotWrite(f"The results cannot be written to {out}: {error.strerror}.") from error
    with file:
        yield file
