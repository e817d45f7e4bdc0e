"""`ETag` and `If-None-Match` (RFC 9110): who has the newest answer already is sent none, but 304.

All tags are weak: a job's rate changes by the second and does not count.
"""

import hashlib
import re
from typing import Any

from fastapi import Request, Response

from api.schemas import JobView

_TAGS = re.compile(r'(?:W/)?("[^"]*")')
NOT_MODIFIED: dict[int | str, dict[str, Any]] = {
    304: {"description": "Nothing has changed since the answer with the ETag in If-None-Match.", "content": {}}
}
"""For the OpenAPI document."""


def job_tag(view: JobView) -> str:
    """Changes with everything that a client sees of the job but its rate."""
    return make_tag(view.model_dump_json(exclude={"images_per_second"}))


def make_tag(*parts: Any) -> str:
    """A tag for an answer that is settled by `parts`."""
    return f'W/"{hashlib.sha256(repr(parts).encode()).hexdigest()[:32]}"'


def is_known(request: Request, tag: str) -> bool:
    """Whether the client says that it has this answer; compared weakly."""
    known = ",".join(request.headers.getlist("if-none-match"))
    return known.strip() == "*" or tag.removeprefix("W/") in _TAGS.findall(known)


def not_modified(response: Response) -> Response:
    """304, with the headers that were set for the answer that is not sent."""
    return Response(status_code=304, headers=dict(response.headers))
