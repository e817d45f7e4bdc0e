"""Times as HTTP headers write them, read from whoever sent them: clients in `Cancel-After`, receivers in `Retry-After`."""

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime


def parse_http_date(text: str) -> datetime | None:
    """The time (aware; UTC where no zone is named), or None for anything that is no date."""
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, OverflowError, TypeError):  # which of them depends on what is wrong with it
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
