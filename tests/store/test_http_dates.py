from datetime import UTC, datetime

import pytest

from store.http_dates import parse_http_date


@pytest.mark.parametrize("zone", ["GMT", "+0000", "-0000"])
def test_a_date_is_a_time(zone: str) -> None:
    assert parse_http_date(f"Fri, 27 Nov 2026 18:00:00 {zone}") == datetime(2026, 11, 27, 18, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        *("", "soon", "9" * 30, "Fri, 99 Nov 2026 18:00:00 GMT"),
        f"Fri, {'9' * 30} Nov 2026 18:00:00 GMT",
        f"Fri, 27 Nov {'9' * 30} 18:00:00 GMT",
        f"Fri, 27 Nov 2026 18:00:00 +{'9' * 30}",
    ],
)
def test_whatever_else_is_none(text: str) -> None:
    assert parse_http_date(text) is None
