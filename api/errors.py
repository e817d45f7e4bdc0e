"""The one table from an error to an HTTP answer. Every refusal is `application/problem+json` (RFC 9457) with a stable `reason`.

What the service refuses itself stands in `api/refusals.py`; the libraries below know no HTTP, and their errors are listed here.
"""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, NamedTuple

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as NoConnectionFree
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.routing import BaseRoute, Match, Mount

from api.headers import secured
from api.refusals import DiskFull, IdempotencyKeyInUse, InvalidRequest, JobExpired, Limit, RequestRefused, UploadAborted
from inference.cam import PackedCamError
from inference.classifier import ClassifierError
from inference.errors import BundleError, FileTooLarge, ImageError
from registry.errors import RegistryError, RegistryUnavailable
from store.archives import ArchiveError
from store.blobs import BlobMissing, BlobsFull, BlobsUnavailable
from store.idempotency import KeyLost
from store.redaction import redact
from store.retries import JobNotFinished, NothingFailed, SourceExpired
from store.webhook_errors import AddressRefused, BadWebhookUrl, EndpointDisabled, HttpsRequired, NoWebhookSecret


class Problem(BaseModel):
    """Why a request was refused: `reason` is stable and made for programs, `detail` is a sentence for people."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "type": "about:blank",
                "title": "Unprocessable Entity",
                "status": 422,
                "reason": "not_a_zip",
                "detail": "The upload is not a zip archive.",
            }
        }
    )

    type: str = "about:blank"
    title: str
    status: int
    reason: str
    detail: str
    limit: Limit | None = None
    errors: list[dict[str, Any]] | None = Field(None, description="Where a parameter was wrong: which, and how.")
    ready: bool | None = Field(None, description="Of `/readyz` only.")
    checks: dict[str, str] | None = Field(None, description="Of `/readyz` only: for each service `ok`, or what is wrong.")


class Answer(NamedTuple):
    """How an error that knows no HTTP is answered; an error's own `reason` goes before this one."""

    status: HTTPStatus
    reason: str
    detail: str | None = None  # in place of the error's own, which would show SQL or is for developers
    headers: Mapping[str, str] = {}


_DATABASE = Answer(HTTPStatus.SERVICE_UNAVAILABLE, "database_unavailable", "The database does not answer; try again.")
_REGISTRY = Answer(HTTPStatus.SERVICE_UNAVAILABLE, "registry_unavailable", "The model registry does not answer; try again.")
_NO_MODEL = Answer(HTTPStatus.SERVICE_UNAVAILABLE, "no_model")
_RETRY_SECONDS = 2
_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")

ANSWERS: dict[type[Exception], Answer] = {
    FileTooLarge: Answer(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, FileTooLarge.reason),
    ImageError: Answer(HTTPStatus.UNPROCESSABLE_ENTITY, ImageError.reason),
    ArchiveError: Answer(HTTPStatus.UNPROCESSABLE_ENTITY, ArchiveError.reason),
    JobNotFinished: Answer(HTTPStatus.CONFLICT, "job_not_finished"),
    NothingFailed: Answer(HTTPStatus.CONFLICT, "nothing_failed"),
    KeyLost: Answer(IdempotencyKeyInUse.status, IdempotencyKeyInUse.reason, headers=IdempotencyKeyInUse.headers),
    SourceExpired: Answer(JobExpired.status, JobExpired.reason),
    EndpointDisabled: Answer(HTTPStatus.CONFLICT, EndpointDisabled.reason),
    **{
        kind: Answer(HTTPStatus.UNPROCESSABLE_ENTITY, kind.reason)
        for kind in (BadWebhookUrl, HttpsRequired, AddressRefused, NoWebhookSecret)
    },
    BlobMissing: Answer(HTTPStatus.GONE, "upload_gone"),
    PackedCamError: Answer(HTTPStatus.INTERNAL_SERVER_ERROR, "damaged_gradcam"),
    BlobsFull: Answer(DiskFull.status, DiskFull.reason),
    BlobsUnavailable: Answer(HTTPStatus.SERVICE_UNAVAILABLE, "uploads_unavailable"),
    RegistryUnavailable: _REGISTRY,
    RegistryError: _NO_MODEL,
    BundleError: _NO_MODEL,
    ClassifierError: _NO_MODEL,
    OperationalError: _DATABASE,
    InterfaceError: _DATABASE,
    NoConnectionFree: _DATABASE,
    ClientDisconnect: Answer(UploadAborted.status, UploadAborted.reason, UploadAborted.__doc__),
}


def problem_of(error: Exception) -> Problem:
    """What a refusal, or an error of the table, is answered with."""
    if isinstance(error, RequestRefused):
        return _problem(error.status, error.reason, str(error), **error.members)
    answer = _listed_answer(error)
    return _problem(answer.status, getattr(error, "reason", answer.reason), answer.detail or str(error))


def _listed_answer(error: Exception) -> Answer:
    return next(ANSWERS[kind] for kind in type(error).__mro__ if kind in ANSWERS)


def _problem(status: HTTPStatus, reason: str, detail: str, **members: Any) -> Problem:
    return Problem(title=status.phrase, status=status, reason=reason, detail=detail, **members)


def install_error_handlers(app: FastAPI) -> None:
    """Answer every error of the tables above, of FastAPI and of Starlette as a problem."""
    app.add_exception_handler(RequestRefused, _listed)
    for kind in ANSWERS:
        app.add_exception_handler(kind, _listed)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _unexpected)


async def _listed(_request: Request, error: Exception) -> Response:
    return problem_response(error)


def problem_response(error: Exception) -> Response:
    """The answer to a refusal, or to an error of the table."""
    response = _response(problem_of(error))
    response.headers.update(error.headers if isinstance(error, RequestRefused) else _listed_answer(error).headers)
    return response


async def _invalid(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    faults = [{"where": list(fault["loc"]), "what": fault["msg"]} for fault in error.errors()]
    detail = "; ".join(map(_fault_sentence, error.errors()))
    return _response(problem_of(InvalidRequest(detail, errors=faults)))


def _fault_sentence(fault: Mapping[str, Any]) -> str:
    where = fault["loc"]
    if where[0] == "path" and fault["type"] == "uuid_parsing":
        return f"{str(fault['input'])[:100]!r} is no {where[-1].replace('_', ' ')}."
    return f"{'.'.join(map(str, where))}: {fault['msg']}"


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if isinstance(error.__cause__, RequestRefused):  # FastAPI wraps what reading a body raises
        return problem_response(error.__cause__)
    status = HTTPStatus(error.status_code)
    headers = dict(error.headers or {})
    if status == HTTPStatus.METHOD_NOT_ALLOWED:
        headers["Allow"] = _allowed(request)
    response = _response(_problem(status, status.name.lower(), _http_detail(request, error)))
    response.headers.update(headers)
    return response


def _allowed(request: Request) -> str:
    """Every method of the path; the router knows only those of the first route that it found there."""
    routes: list[BaseRoute] = request.app.router.routes
    apart = [route for route in routes if not isinstance(route, Mount)]  # these match by path alone

    def is_possible(method: str) -> bool:
        return any(route.matches({**request.scope, "method": method})[0] is Match.FULL for route in apart)

    return ", ".join(filter(is_possible, _METHODS)) or "GET, HEAD"


def _http_detail(request: Request, error: HTTPException) -> str:
    if error.status_code == HTTPStatus.NOT_FOUND:
        return f"There is nothing at {request.url.path}; /openapi.json lists what there is."
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        return f"{request.method} is not possible here; possible: {_allowed(request)}."
    return str(error.detail)


async def _unexpected(_request: Request, _error: Exception) -> Response:
    detail = "The service failed in a way that it did not expect; its log says how."
    response = _response(_problem(HTTPStatus.INTERNAL_SERVER_ERROR, "internal_error", detail))
    response.raw_headers = secured(response.raw_headers)  # nothing else does: this is answered outside of every middleware
    return response


def _response(problem: Problem) -> Response:
    """An answer of media type application/problem+json; 503 says when to try again."""
    unavailable = problem.status == HTTPStatus.SERVICE_UNAVAILABLE
    return Response(
        redact(problem.model_dump_json(exclude_none=True)),
        status_code=problem.status,
        headers={"Retry-After": str(_RETRY_SECONDS)} if unavailable else None,
        media_type="application/problem+json",
    )
