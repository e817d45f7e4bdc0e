"""What the service itself refuses a request for. The docstring is the message; `reason` is stable and made for programs.

RequestRefused
  InvalidRequest  NotFound  NotAZip  NoFiles  NothingUploaded  UploadTooLarge  TooManyFiles  UnsupportedUpload
  UploadAborted  BodyTooSlow  DiskFull  NoGradcam  NoPage  BadCursor  JobFinished  JobExpired  BadIdempotencyKey
  TooManyOpenJobs  QuotaExceeded  QueueFull  TooManyWaiting  WaitingFull  DecoderUnavailable
  IdempotencyKeyInUse  IdempotencyKeyReused  NotReady
  KeyMissing  KeyUnknown  KeyRevoked  ScopeMissing  KeysRequired  UntrustedHost  RateLimited
"""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from pydantic import BaseModel


class Limit(BaseModel):
    """A limit that was hit."""

    key: str
    value: int
    observed: int | None = None
    unit: str


def _retry_after(seconds: int) -> Mapping[str, str]:
    return {"Retry-After": str(seconds)}


def _challenge(parameters: str) -> Mapping[str, str]:
    return {"WWW-Authenticate": f"Bearer {parameters}"}


class RequestRefused(Exception):
    """The request cannot be served."""

    status = HTTPStatus.BAD_REQUEST
    reason = "bad_request"
    headers: Mapping[str, str] = {}

    def __init__(self, detail: str | None = None, *, headers: Mapping[str, str] | None = None, **members: Any) -> None:
        """`members` are those of a `Problem`, such as `limit`; `headers` come on top of those that the class always sends."""
        super().__init__(detail or type(self).__doc__)
        self.members = members
        self.headers = {**type(self).headers, **(headers or {})}


class InvalidRequest(RequestRefused):
    """A parameter is missing or wrong; `errors` says which, and how."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY
    reason = "invalid_request"


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


class UploadAborted(RequestRefused):
    """The client went away before its upload was whole."""

    reason = "upload_aborted"


class MalformedHttp(RequestRefused):
    """What was sent is no HTTP request."""

    status = HTTPStatus.BAD_REQUEST
    reason = "malformed_http"


class HeadTooLarge(RequestRefused):
    """The request's address and headers are too long."""

    status = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
    reason = "head_too_large"


class BodyTooSlow(RequestRefused):
    """The request's body came too slowly."""

    status = HTTPStatus.REQUEST_TIMEOUT
    reason = "body_too_slow"


class DiskFull(RequestRefused):
    """There is no room for the upload; it may be sent again when there is."""

    status = HTTPStatus.INSUFFICIENT_STORAGE
    reason = "disk_full"


class NoGradcam(RequestRefused):
    """No Grad-CAM was kept for this prediction; submit the job with gradcam=always to keep each one."""

    status = HTTPStatus.NOT_FOUND
    reason = "no_gradcam"


class NoPage(RequestRefused):
    """There is no verdict on this item, and so no page to show; the reason is the item's own."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY
    reason = "worker_lost"

    def __init__(self, detail: str | None = None, *, reason: str | None = None) -> None:
        super().__init__(detail)
        self.reason = reason or type(self).reason


class BadCursor(RequestRefused):
    """The cursor is not one that this service gave."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY
    reason = "bad_cursor"


class JobFinished(RequestRefused):
    """The job has ended and cannot be cancelled any more."""

    status = HTTPStatus.CONFLICT
    reason = "job_finished"


class JobExpired(RequestRefused):
    """The job was kept for as long as it should be; its uploads and results are deleted."""

    status = HTTPStatus.GONE
    reason = "job_expired"


class BadIdempotencyKey(RequestRefused):
    """Idempotency-Key must have 1 to 255 printable ASCII characters; a UUID is a good one."""

    reason = "bad_idempotency_key"


class IdempotencyKeyInUse(RequestRefused):
    """The first request with this Idempotency-Key is still running; repeat this one to get its answer."""

    status = HTTPStatus.CONFLICT
    reason = "idempotency_key_in_use"
    headers = _retry_after(2)


class IdempotencyKeyReused(RequestRefused):
    """The Idempotency-Key was used before, with another body or other options; each request needs one of its own."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY
    reason = "idempotency_key_reused"


class TooManyOpenJobs(RequestRefused):
    """The client has as many jobs that have not ended as it may; it can wait for one, or cancel it."""

    status = HTTPStatus.TOO_MANY_REQUESTS
    reason = "too_many_open_jobs"
    headers = _retry_after(10)


class QuotaExceeded(RequestRefused):
    """The client would keep more bytes than it may; room comes as its jobs expire."""

    status = HTTPStatus.INSUFFICIENT_STORAGE  # as RFC 4331 has it for quotas
    reason = "quota_exceeded"
    headers = _retry_after(3600)


class DecoderUnavailable(RequestRefused):
    """No process that decodes images can be started; try again."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    reason = "decoder_unavailable"


class QueueFull(RequestRefused):
    """More work waits than the queue may hold; try again later."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    reason = "queue_full"
    headers = _retry_after(30)


class TooManyWaiting(RequestRefused):
    """The client waits for jobs with as many requests as it may; it can end one, or ask without waiting."""

    status = HTTPStatus.TOO_MANY_REQUESTS
    reason = "too_many_waiting"
    headers = {"Retry-After": "5"}  # noqa: RUF012  # a Mapping, which nobody writes to


class WaitingFull(RequestRefused):
    """As many requests wait for jobs as may; ask without waiting."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    reason = "waiting_full"
    headers = {"Retry-After": "5"}  # noqa: RUF012  # a Mapping, which nobody writes to


class NotReady(RequestRefused):
    """Something that the service needs is missing; `checks` says what."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    reason = "not_ready"


class KeyMissing(RequestRefused):
    """A key is needed: send it as Authorization: Bearer, or as X-API-Key."""

    status = HTTPStatus.UNAUTHORIZED
    reason = "key_missing"
    headers = _challenge('realm="penpress"')


class KeyUnknown(KeyMissing):
    """The service knows no such key."""

    reason = "key_unknown"
    headers = _challenge('realm="penpress", error="invalid_token"')


class KeyRevoked(KeyUnknown):
    """The key was revoked."""

    reason = "key_revoked"


class ScopeMissing(RequestRefused):
    """The key is not good for this; the detail names the scope that is needed."""

    status = HTTPStatus.FORBIDDEN
    reason = "scope_missing"


class KeysRequired(RequestRefused):
    """Without keys this service answers its own machine only; make the first key with: penpress keys create NAME."""

    status = HTTPStatus.FORBIDDEN
    reason = "keys_required"


class UntrustedHost(RequestRefused):
    """Without keys this service answers under loopback names only, and to no other site's page; see trusted_hosts."""

    status = HTTPStatus.FORBIDDEN
    reason = "untrusted_host"


class RateLimited(RequestRefused):
    """The key has sent as many requests as it may in a minute."""

    status = HTTPStatus.TOO_MANY_REQUESTS
    reason = "rate_limited"
