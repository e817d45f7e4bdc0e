"""For how long: until when a client waits for its job (`Cancel-After`), and how long it is kept once it has ended.

`Cancel-After` has seconds or an HTTP date, as `Retry-After` does.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated

from fastapi import Depends, Header

from api.refusals import InvalidRequest, Limit
from store.http_dates import parse_http_date

_DIGITS = re.compile("[0-9]{1,9}")
_MAX_SECONDS = 365 * 24 * 3600
_ALLOWED = f"seconds from 1 to {_MAX_SECONDS}, or an HTTP date within that time, such as Fri, 27 Nov 2026 18:00:00 GMT"


def parse_cancel_after(text: str) -> datetime | timedelta:
    """A time, or how long from now. Raises `InvalidRequest`."""
    if _DIGITS.fullmatch(text) and 1 <= int(text) <= _MAX_SECONDS:
        return timedelta(seconds=int(text))
    if (moment := parse_http_date(text)) and timedelta(0) < moment - datetime.now(UTC) <= timedelta(seconds=_MAX_SECONDS):
        return moment
    fault = f"{text[:100]!r} is none of: {_ALLOWED}"
    raise InvalidRequest(f"Cancel-After: {fault}.", errors=[{"where": ["header", "Cancel-After"], "what": fault}])


async def _cancel_after(
    cancel_after: Annotated[
        str | None, Header(description=f"When to cancel what is not done by then: {_ALLOWED}.", examples=["172800"])
    ] = None,
) -> datetime | timedelta | None:
    return None if cancel_after is None else parse_cancel_after(cancel_after.strip())


CancelAfter = datetime | timedelta | None
"""A time, how long from now, or never."""
CancelAfterDep = Annotated[CancelAfter, Depends(_cancel_after)]


@dataclass(frozen=True, slots=True)
class Terms:
    """What was agreed for a job. `retention_seconds` None keeps it for ever."""

    cancel_after: CancelAfter
    retention_seconds: int | None


def settled_retention(asked: int | None, longest: int | None) -> int | None:
    """What a client asked for, by default what the service keeps (None: for ever). Raises `InvalidRequest` above that."""
    if asked is None or longest is None or asked <= longest:
        return longest if asked is None else asked
    limit = Limit(key="retention_seconds", value=longest, observed=asked, unit="seconds")
    raise InvalidRequest(f"This service keeps jobs for {longest} seconds; a job may ask for less, not for more.", limit=limit)
