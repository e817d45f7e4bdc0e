"""`penpress classify` and `results`: send what the paths name to a service, or classify it here, and write the answers."""

import sys
import time
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import TextIO
from urllib.parse import quote

from penpress.client import FINAL_STATES, Client, Job
from penpress.errors import Interrupted, NothingToDo, PenpressError, Unreachable
from penpress.output import TABLE_ROWS, Format, csv_rows, jsonl_lines, open_output, write_table
from penpress.progress import classification_meter, upload_meter
from penpress.results import Result, Tally
from penpress.sources import Sources
from penpress.zipped import check_zips, zip_file, zip_of_files
from store.settings import Settings


def classify_here(sources: Sources, settings: Settings, output: Format, out: Path | None) -> int:
    """Classify in this process and its children, write the results, and return the exit code."""
    from penpress.local import classify_locally, find_model, local_items

    model, items = find_model(settings), local_items(sources, settings)
    if not items:
        raise NothingToDo("The zips hold no files.")
    tally, started = Tally(), time.monotonic()
    with open_output(out) as stream:
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


def classify_at(url: str, sources: Sources, output: Format, out: Path | None, *, options: str = "") -> int:
    """Have the service at `url` classify, write the results, and return the exit code.

    Whatever goes wrong once something was sent names the jobs; `options` are those that `penpress results` will need.
    """
    check_zips(sources.zips)
    jobs: list[Job] = []
    with Client(url) as client, _naming(jobs, options), open_output(out) as stream:
        try:
            for job in _submit_all(client, sources):
                jobs.append(job)  # one by one: an error must find those before it
        except Unreachable as error:
            if not jobs:
                error.add("Start it with `penpress up`, or classify without it by --local.")
            raise
        started = time.monotonic()
        ended = _wait_for_all(client, jobs)
        seconds = time.monotonic() - started
        tally = _tally(ended)
        _write_jobs(client, ended, _prefixes(sources), tally.total, output, stream)
    return max(_finish(tally, seconds), *(_report(job) for job in ended))


def fetch_results(url: str, job_id: str, output: Format, out: Path | None) -> int:
    """Write what results the job has by now, and return the exit code."""
    with Client(url) as client, open_output(out) as stream:
        job = client.job(quote(job_id, safe=""))
        tally = _tally([job])
        is_final = job["state"] in FINAL_STATES
        total = tally.total if is_final else job["counts"].get("processed") or 0
        _write_jobs(client, [job], [""], total, output, stream)
    if not is_final:
        _say(f"Job {job['id']} is not finished yet: it is {job['state']}, and these are the results so far.")
        return 1
    return max(_finish(tally, 0), _report(job))


@contextmanager
def _naming(jobs: list[Job], options: str) -> Iterator[None]:
    """Have errors and Ctrl-C say how to get the results of the jobs that were sent by then: those go on by themselves."""
    try:
        yield
    except PenpressError as error:
        if jobs:
            error.add(_how_to_get(jobs, options))
            error.exit_code = 1
        raise
    except KeyboardInterrupt:
        interrupted = Interrupted()
        if jobs:
            interrupted.add(_how_to_get(jobs, options))
        raise interrupted from None


def _how_to_get(jobs: list[Job], options: str) -> str:
    if len(jobs) == 1:
        job_id = jobs[0]["id"]
        return f"Job {job_id} was sent; `penpress results {job_id}{options}` gets its results."
    ids = ", ".join(job["id"] for job in jobs)
    return f"The jobs {ids} were sent; `penpress results JOB{options}` gets the results of each."


def _tally(jobs: list[Job]) -> Tally:
    tally = Tally()
    for job in jobs:
        tally.add_counts(job["counts"])
    return tally


def _prefixes(sources: Sources) -> list[str]:
    """What the names in the results of each job begin with, in the order of `_submit_all`."""
    return [*([""] if sources.files else []), *sources.zip_prefixes]


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


def _write_jobs(client: Client, jobs: list[Job], prefixes: list[str], total: int, output: Format, stream: TextIO) -> None:
    if output is Format.CSV and len(jobs) == 1:
        stream.writelines(client.results_csv(jobs[0]["id"]))
        return
    results = (
        _prefixed(result, prefix) for job, prefix in zip(jobs, prefixes, strict=True) for result in client.results(job["id"])
    )
    if output is Format.TABLE:
        write_table(list(islice(results, TABLE_ROWS)), total, stream)
    else:
        _write(results, output, stream)


def _prefixed(result: Result, prefix: str) -> Result:
    result["file"] = prefix + result["file"]
    return result


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
