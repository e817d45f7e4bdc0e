"""The one table from an error to an HTTP answer. Every refusal is `application/problem+json` (RFC 9457) with a stable `reason`.

RequestRefused
  NotFound  NotAZip  NoFiles  NothingUploaded  UploadTooLarge  TooManyFiles  UnsupportedUpload  NoGradcam  BadCursor
"""

from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.exc import OperationalError
from starlette.exceptions import HTTPException

from inference.bundle import BundleError
from inference.cam import PackedCamError
from inference.classifier import ClassifierError
from inference.errors import FileTooLarge, ImageError
from registry.errors import RegistryError
from store.archives import ArchiveError
from store.blobs import BlobMissing, BlobsUnavailable


class Limit(BaseModel):
    """A limit that was hit."""

    key: str
    value: int
    observed: int | None = None
    unit: str


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


class RequestRefused(Exception):
    """The request cannot be served."""

    status = HTTPStatus.BAD_REQUEST
    reason = "bad_request"

    def __init__(self, detail: str | None = None, limit: Limit | None = None) -> None:
        super().__init__(detail or type(self).__doc__)
        self.limit = limit


class NotFound(RequestRefused):
    """There is no such object."""

    status = HTTPStatus.NOT_FOUND
    reason = "not_found"


class NotAZip(RequestRefused):
    """The upload is not a zip archive."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY
    reason = "not_a_zip"


class NoFiles(RequestRefused):
    """The form holds no file; send images or zips as fields of type file."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY
    reason = "no_files"


class NothingUploaded(RequestRefused):
    """The request's body is empty."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY
    reason = "empty_upload"


class UploadTooLarge(RequestRefused):
    """The upload has more bytes than allowed."""

    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    reason = "upload_too_large"


class TooManyFiles(RequestRefused):
    """The form holds more files than allowed; send them as one zip."""

    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    reason = "too_many_files"


class UnsupportedUpload(RequestRefused):
    """Send application/zip or multipart/form-data."""

    status = HTTPStatus.UNSUPPORTED_MEDIA_TYPE
    reason = "unsupported_upload"


class NoGradcam(RequestRefused):
    """No Grad-CAM was kept for this prediction; submit the job with gradcam=always to keep each one."""

    status = HTTPStatus.NOT_FOUND
    reason = "no_gradcam"


class BadCursor(RequestRefused):
    """The cursor is not one that this service gave."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY
    reason = "bad_cursor"


_RETRY_SECONDS = 2
_STATUS: dict[type[Exception], tuple[HTTPStatus, str]] = {
    FileTooLarge: (HTTPStatus.REQUEST_ENTITY_TOO_LARGE, FileTooLarge.reason),
    ImageError: (HTTPStatus.UNPROCESSABLE_ENTITY, "unreadable_image"),
    ArchiveError: (HTTPStatus.UNPROCESSABLE_ENTITY, "broken_archive"),
    BlobMissing: (HTTPStatus.GONE, "upload_gone"),
    PackedCamError: (HTTPStatus.INTERNAL_SERVER_ERROR, "damaged_gradcam"),
    BlobsUnavailable: (HTTPStatus.SERVICE_UNAVAILABLE, "uploads_unavailable"),
    RegistryError: (HTTPStatus.SERVICE_UNAVAILABLE, "no_model"),
    BundleError: (HTTPStatus.SERVICE_UNAVAILABLE, "no_model"),
    ClassifierError: (HTTPStatus.SERVICE_UNAVAILABLE, "no_model"),
    OperationalError: (HTTPStatus.SERVICE_UNAVAILABLE, "database_unavailable"),
}


def problem_response(status: HTTPStatus, *, reason: str, detail: str, **more: Any) -> JSONResponse:
    """An answer of media type application/problem+json; 503 says when to try again."""
    problem = Problem(title=status.phrase, status=status, reason=reason, detail=detail, **more)
    headers = {"Retry-After": str(_RETRY_SECONDS)} if status == HTTPStatus.SERVICE_UNAVAILABLE else None
    body = problem.model_dump(mode="json", exclude_none=True)
    return JSONResponse(body, status_code=status, headers=headers, media_type="application/problem+json")


def install_error_handlers(app: FastAPI) -> None:
    """Answer every error of the tables above, of FastAPI and of Starlette as a problem."""
    app.add_exception_handler(RequestRefused, _refused)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    for kind in _STATUS:
        app.add_exception_handler(kind, _listed)
    app.add_exception_handler(Exception, _unexpected)


async def _refused(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestRefused)
    return problem_response(error.status, reason=error.reason, detail=str(error), limit=error.limit)


async def _listed(_request: Request, error: Exception) -> JSONResponse:
    status, reason = next(_STATUS[kind] for kind in type(error).__mro__ if kind in _STATUS)
    if isinstance(error, OperationalError):
        return problem_response(status, reason=reason, detail="The database does not answer; nothing was changed.")
    return problem_response(status, reason=getattr(error, "reason", reason), detail=str(error))


async def _invalid(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    faults = [{"where": list(fault["loc"]), "what": fault["msg"]} for fault in error.errors()]
    detail = "; ".join(f"{'.'.join(map(str, fault['where']))}: {fault['what']}" for fault in faults)
    return problem_response(HTTPStatus.UNPROCESSABLE_ENTITY, reason="invalid_request", detail=detail, errors=faults)


async def _http(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    status = HTTPStatus(error.status_code)
    response = problem_response(status, reason=status.name.lower(), detail=str(error.detail))
    response.headers.update(error.headers or {})
    return response


async def _unexpected(_request: Request, _error: Exception) -> JSONResponse:
    detail = "The service failed in a way that it did not expect; its log says how."
    return problem_response(HTTPStatus.INTERNAL_SERVER_ERROR, reason="internal_error", detail=detail)


def problems(*statuses: HTTPStatus) -> dict[int | str, dict[str, Any]]:
    """The refusals of an endpoint, for OpenAPI, each with an example."""
    return {int(status): _documented(status) for status in statuses}


def _documented(status: HTTPStatus) -> dict[str, Any]:
    example = {"type": "about:blank", "title": status.phrase, "status": int(status), **_EXAMPLES[status]}
    content = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}, "example": example}}
    return {"description": status.phrase, "content": content}


_EXAMPLES: dict[HTTPStatus, dict[str, Any]] = {
    HTTPStatus.NOT_FOUND: {"reason": "not_found", "detail": "There is no such object."},
    HTTPStatus.GONE: {"reason": "upload_gone", "detail": "The file is no longer in the blob store."},
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: {
        "reason": "upload_too_large",
        "detail": "The upload has more bytes than allowed.",
        "limit": {"key": "max_upload_bytes", "value": 68719476736, "observed": 70000000000, "unit": "bytes"},
    },
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: {
        "reason": "unsupported_upload",
        "detail": "Send application/zip or multipart/form-data.",
    },
    HTTPStatus.UNPROCESSABLE_ENTITY: {
        "reason": "not_an_image",
        "detail": "The file is none of JPEG, PNG, TIFF, JPEG 2000, WebP, GIF, BMP or PDF.",
    },
    HTTPStatus.SERVICE_UNAVAILABLE: {"reason": "no_model", "detail": "No model is in production, or it could not be loaded."},
}
