"""Lists come in pages. A cursor is the id of a page's last row: ids sort by creation."""

from collections.abc import Sequence
from typing import Protocol, TypeVar
from uuid import UUID

from api.refusals import BadCursor


class _Row(Protocol):
    @property
    def id(self) -> UUID: ...


Row = TypeVar("Row", bound=_Row)


def parse_cursor(cursor: str | None) -> UUID | None:
    """The id after which a page begins. Raises `BadCursor`."""
    try:
        return UUID(cursor) if cursor is not None else None
    except ValueError as error:
        raise BadCursor from error


def cut_page(found: Sequence[Row], limit: int) -> tuple[Sequence[Row], str | None]:
    """At most `limit` rows, and the cursor of the next page; ask for one row more, to know whether there is one."""
    page = found[:limit]
    return page, str(page[-1].id) if len(found) > limit else None
