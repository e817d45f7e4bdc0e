"""A job's results: in pages of JSON, or the whole of it as a stream of NDJSON or CSV."""

import base64
import binascii
from collections.abc import Iterator, Sequence
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.orm import Session

from api.accept import Format, negotiate
from api.deps import Services, ServicesDep
from api.documented import problems
from api.etags import NOT_MODIFIED, is_known, make_tag, not_modified
from api.identity import CallerDep
from api.jobs import found_job
from api.refusals import BadCursor, InvalidRequest, JobExpired, NotFound
from api.results_format import csv_header, csv_lines, ndjson_lines, prediction_csv_row
from api.schemas import PredictedClass, PredictionView, ResultPage, prediction_fields
from store import jobs, predictions
from store.models import Job, Prediction
from store.predictions import Filters
from store.states import ItemStatus

router = APIRouter(tags=["jobs"])

_PIECE_ROWS = 1000
_MAX_NUMBER = 2**63
_MEDIA_TYPES: dict[Format, str] = {
    "json": "application/json",
    "ndjson": "application/x-ndjson",
    "csv": "text/csv; charset=utf-8",
}


class ResultQuery(BaseModel):
    """Which results, and in which form."""

    model_config = ConfigDict(extra="forbid")

    format: Format | None = Field(None, description="By default what `Accept` asks for, else json.")
    limit: int = Field(100, ge=1, le=1000, description="Items of one JSON page; streams give all.")
    cursor: str | None = Field(None, description="`next_cursor` of the page before.")
    class_: PredictedClass | None = Field(None, alias="class")
    status: ItemStatus | None = None
    min_confidence: float | None = Field(None, ge=0, le=1)
    max_confidence: float | None = Field(None, ge=0, le=1)
    needs_review: bool | None = None

    @property
    def filters(self) -> Filters:
        """The filters, as the store takes them."""
        return Filters(
            predicted_class=self.class_,
            status=self.status,
            min_confidence=self.min_confidence,
            max_confidence=self.max_confidence,
            needs_review=self.needs_review,
        )


_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {
        "content": {
            "application/x-ndjson": {
                "example": '{"file": "box-17/0042.jpg", "page": 1, "predicted_class": "handwritten", "confidence": 0.9981}\n'
            },
            "text/csv": {
                "example": csv_header()
                + '"box-17/0042.jpg",1,"handwritten",0.9981,0.9981,0.0019,"3","succeeded",\n'
                + '"box-17/0043.jpg",1,"printed",0.9712,0.0288,0.9712,"3","succeeded","crowded"\n'
            },
        }
    },
    **NOT_MODIFIED,
    **problems(NotFound, JobExpired, InvalidRequest, BadCursor),
}


@router.get("/jobs/{job_id}/results", summary="A job's results", response_model=ResultPage, responses=_RESPONSES)
def get_results(
    job_id: UUID,
    services: ServicesDep,
    caller: CallerDep,
    request: Request,
    response: Response,
    query: Annotated[ResultQuery, Query()],
    accept: Annotated[str, Header()] = "*/*",
) -> Response | ResultPage:
    """JSON comes in pages; NDJSON and CSV are streams of everything.

    Rows are in the order of the job's items. While the job goes on, its chunks end in any order, so rows may appear
    behind a cursor that has passed already, and who pages then misses them: for the whole, read when the job's `state`
    is `completed`; `counts.processed` says how many rows there are so far.
    """
    form = query.format or negotiate(accept)
    response.headers["Vary"] = "Accept"
    with services.database.transaction() as session:
        job = found_job(session, job_id, caller)
        # Rows are never changed, so how many there are says which.
        response.headers["ETag"] = tag = make_tag(job.id, job.processed, form, query.model_dump_json())
        if is_known(request, tag):
            return not_modified(response)
        if form == "json":
            return _page(session, job, query)
    pieces = _stream(services, job, query.filters, form)
    headers = {**response.headers, "Content-Disposition": f'attachment; filename="penpress-{job.id}.{form}"'}
    return StreamingResponse(pieces, media_type=_MEDIA_TYPES[form], headers=headers)


def _page(session: Session, job: Job, query: ResultQuery) -> ResultPage:
    after = _parse_cursor(query.cursor) if query.cursor is not None else None
    rows = _read_rows(session, job, query.filters, limit=query.limit + 1, after=after)
    page = rows[: query.limit]
    cursor = _make_cursor(page[-1]) if len(rows) > query.limit else None
    return ResultPage(items=[PredictionView.of(row) for row in page], next_cursor=cursor)


def _make_cursor(row: Prediction) -> str:
    return base64.urlsafe_b64encode(f"{row.ordinal}:{row.page}".encode()).decode()


def _parse_cursor(cursor: str) -> tuple[int, int]:
    try:
        ordinal, page = map(int, base64.b64decode(cursor, altchars="-_", validate=True).decode().split(":"))
    except (binascii.Error, ValueError) as error:
        raise BadCursor from error
    if not (0 <= ordinal < _MAX_NUMBER and 0 <= page < _MAX_NUMBER):
        raise BadCursor
    return ordinal, page


def _stream(services: Services, job: Job, filters: Filters, form: Format) -> Iterator[str]:
    """Text in pieces of a thousand rows: a piece costs a hop to a thread, a row must not.

    Each piece has a transaction of its own, so that a client that reads slowly holds no connection. Should the job
    expire meanwhile, `JobExpired` breaks the connection: 200 was said, and half of the rows must not look like all of them.
    """
    if form == "csv":
        yield csv_header()
    after: tuple[int, int] | None = None
    while rows := _next_rows(services, job, filters, after):
        if form == "csv":
            yield csv_lines(prediction_csv_row(row) for row in rows)
        else:
            yield ndjson_lines(prediction_fields(row) for row in rows)
        after = (rows[-1].ordinal, rows[-1].page)


def _next_rows(services: Services, job: Job, filters: Filters, after: tuple[int, int] | None) -> Sequence[Prediction]:
    with services.database.transaction() as session:
        return _read_rows(session, job, filters, limit=_PIECE_ROWS, after=after)


def _read_rows(
    session: Session, job: Job, filters: Filters, *, limit: int, after: tuple[int, int] | None
) -> Sequence[Prediction]:
    """Up to `limit` rows. Raises `JobExpired` where some may be missing because the job has just expired."""
    rows = predictions.list_results(session, job, filters=filters, limit=limit, after=after)
    if jobs.is_expired(session, job.id):  # its rows go in steps
        raise JobExpired
    return rows
