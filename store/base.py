"""What every table has in common: ids, times, and how constraints are named."""

import uuid
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import BigInteger, ClauseElement, DateTime, Enum, MetaData
from sqlalchemy.dialects.postgresql import JSONB, psycopg
from sqlalchemy.orm import DeclarativeBase
from uuid_utils import compat as uuid_utils


def new_id() -> uuid.UUID:
    """A UUIDv7."""
    return uuid_utils.uuid7()


class Base(DeclarativeBase):
    """Constraint names are derived, so that migrations can name them."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {  # noqa: RUF012  # SQLAlchemy declares it as an instance attribute
        datetime: DateTime(timezone=True),
        int: BigInteger,
        dict[str, Any]: JSONB,
        list[dict[str, Any]]: JSONB,
        list[str]: JSONB,
        list[int]: JSONB(none_as_null=True),
    }


def enum_of(kind: type[StrEnum], name: str) -> Enum:
    """A state, kept as text."""
    return Enum(kind, native_enum=False, length=16, name=name, values_callable=lambda members: [m.value for m in members])


def driver_text(statement: ClauseElement) -> str:
    """A statement as psycopg takes it, for those that every request runs: SQLAlchemy's part takes as long as theirs."""
    return str(statement.compile(dialect=psycopg.dialect()))  # type: ignore[no-untyped-call]  # dialects have no types
