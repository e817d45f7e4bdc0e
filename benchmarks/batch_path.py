"""The main job's rate: from the first byte of `POST /jobs` until the job is `completed`, everything included."""

import time

import httpx

_POLL_SECONDS = 0.2


def images_per_second(url: str, archive: bytes, count: int) -> float:
    """Submit `archive` with `count` images, wait, and check that each has its result."""
    with httpx.Client(base_url=url, timeout=600) as client:
        started = time.perf_counter()
        answer = client.post("/jobs", content=archive, headers={"Content-Type": "application/zip"})
        answer.raise_for_status()
        job = answer.json()
        while job["state"] not in ("completed", "failed"):
            time.sleep(_POLL_SECONDS)
            job = client.get(job["links"]["self"]).json()
        seconds = time.perf_counter() - started
    if job["counts"]["succeeded"] != count:
        raise SystemExit(f"The job ended {job['state']} with {job['counts']}.")
    return count / seconds
