"""The HTTP interface as the client knows it, over a real socket: every zip member is a printed page, `bad` ones fail."""

import io
import json
import threading
import time
import zipfile
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

HEADER = "FILE,PAGE,CLASS,CONFIDENCE,P_HANDWRITTEN,P_PRINTED,MODEL_VERSION,STATUS,REASON\n"


class FakeService:
    """`jobs` holds what was submitted, one for each idempotency key; `final_state` is how jobs end.

    `failures` many GETs are answered 503 first; submissions are answered with `lost_answers` first, though their jobs are made;
    streams of results break off after so many lines as `breaks` says, one after the other.
    """

    def __init__(self) -> None:
        self.jobs: dict[str, dict[str, Any]] = {}
        self.names: dict[str, list[str]] = {}
        self.polls: list[float] = []
        self.sent: list[tuple[float, str]] = []
        self.failures = 0
        self.lost_answers: list[Response] = []
        self.breaks: list[int] = []
        self.refusal: dict[str, Any] | None = None
        self.final_state = "completed"

    def app(self) -> Starlette:
        """The ASGI application."""
        return Starlette(
            routes=[
                Route("/jobs", self.submit, methods=["POST"]),
                Route("/jobs", self.list, methods=["GET"]),
                Route("/jobs/{id}", self.job),
                Route("/jobs/{id}/results", self.results),
            ]
        )

    async def submit(self, request: Request) -> Response:
        body = await request.body()
        key = request.headers["idempotency-key"]
        self.sent.append((time.monotonic(), key))
        if self.refusal:
            return JSONResponse(self.refusal, self.refusal["status"], media_type="application/problem+json")
        assert request.headers["content-type"] == "application/zip"
        assert int(request.headers["content-length"]) == len(body)
        with zipfile.ZipFile(io.BytesIO(body)) as archive:
            names = archive.namelist()
        job_id = f"job-{len({key for _, key in self.sent})}"
        self.names[job_id] = names
        self.jobs[job_id] = _job(job_id, request.query_params["name"], "queued", names)
        if self.lost_answers:
            return self.lost_answers.pop(0)
        return JSONResponse(self.jobs[job_id], 202, headers={"Location": f"/jobs/{job_id}", "Retry-After": "1"})

    async def list(self, request: Request) -> Response:
        ids = sorted(self.jobs)
        start = int(request.query_params.get("cursor", 0))
        cursor = str(start + 1) if start + 1 < len(ids) else None
        return JSONResponse({"jobs": [self.jobs[job_id] for job_id in ids[start : start + 1]], "next_cursor": cursor})

    async def job(self, request: Request) -> Response:
        self.polls.append(time.monotonic())
        if self.failures:
            self.failures -= 1
            return PlainTextResponse("try later", 503)
        job = self.jobs.get(request.path_params["id"])
        if job is None:
            problem = {"title": "Not found", "status": 404, "detail": "No such job.", "reason": "not_found"}
            return JSONResponse(problem, 404, media_type="application/problem+json")
        job["state"] = self.final_state if job["state"] == "running" else "running"
        return JSONResponse(job, headers={"Retry-After": "0.2"})

    async def results(self, request: Request) -> Response:
        names = self.names[request.path_params["id"]]
        if request.query_params["format"] == "csv":
            return PlainTextResponse(HEADER + "".join(f"{name},1,printed,0.9,0.1,0.9,3,succeeded,\n" for name in names))
        return StreamingResponse(self._result_lines(names))

    async def _result_lines(self, names: Sequence[str]) -> AsyncIterator[str]:
        lines = self.breaks.pop(0) if self.breaks else None
        for name in names[:lines]:
            yield json.dumps(_result(name)) + "\n"
        if lines is not None:
            raise ConnectionError("broken off")


def _job(job_id: str, name: str, state: str, names: list[str]) -> dict[str, Any]:
    failed = sum("bad" in name for name in names)
    counts = {"total": len(names), "processed": len(names), "failed": failed, "printed": len(names) - failed}
    return {
        "id": job_id,
        "name": name,
        "state": state,
        "counts": counts,
        "images_per_second": 12.5,
        "created_at": "2026-11-23T10:00:00Z",
        "reason": None,
        "detail": "It went wrong.",
    }


def _result(name: str) -> dict[str, Any]:
    return {
        "id": "1",
        "file": name,
        "page": 1,
        "status": "succeeded",
        "predicted_class": "printed",
        "confidence": 0.9,
        "probabilities": {"handwritten": 0.1, "printed": 0.9},
        "needs_review": False,
        "model_version": "3",
        "reason": None,
        "detail": None,
        "links": {},
    }


@contextmanager
def serving(app: Starlette, *, lifespan: Literal["on", "off"] = "off") -> Iterator[str]:
    """The URL of `app` on a free port, for the length of the block."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, lifespan=lifespan, log_level="critical"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join()
