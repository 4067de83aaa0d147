"""Column types that mean the same on SQLite and PostgreSQL, and the base of all tables."""

from __future__ import annotations

import enum
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, ClassVar, dataclass_transform

from sqlalchemy import BigInteger, DateTime, Dialect, Enum, Index, Integer, MetaData, Text, text
from sqlalchemy.orm import DeclarativeBase, Mapped, MappedAsDataclass, mapped_column
from sqlalchemy.types import TypeDecorator

# SQLite counts rows only in a column whose type is INTEGER by name; both hold 64 bits.
WholeNumber = BigInteger().with_variant(Integer(), "sqlite")


def utc_now() -> datetime:
    """The wall clock, for people to read: no rule of the platform depends on it."""
    return datetime.now(UTC)


def canonical_json(value: Any) -> str:
    """The one text of a JSON value: keys sorted, no spaces, ASCII; ValueError for NaN and infinities.

    Equal values have equal texts, so that texts and their hashes can be compared across databases.
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


class PlainText(TypeDecorator[str]):
    """Text; what PostgreSQL cannot hold (NUL, half a surrogate pair) is replaced on both databases."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        if value is None or (value.isascii() and "\0" not in value):
            return value
        return value.replace("\0", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode("utf-8")


class CanonicalJson(TypeDecorator[Any]):
    """A JSON value as its canonical text; assign a new value to change it, what is changed inside is not seen."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        return None if value is None else canonical_json(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:
        return None if value is None else json.loads(value)


class UtcTime(TypeDecorator[datetime]):
    """An aware time, kept and given back in UTC; ValueError for one without a zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value}: a time needs its zone")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)


def _values(kind: type[enum.Enum]) -> list[str]:
    return [str(member.value) for member in kind]


# For type checkers: what `kw_only=True` says at run time.
@dataclass_transform(kw_only_default=True, eq_default=False, field_specifiers=(mapped_column,))
class Row(MappedAsDataclass, DeclarativeBase, kw_only=True, eq=False):
    """Base of all tables: rows are made with keyword arguments and have no lazy attributes."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map: ClassVar = {
        int: WholeNumber,
        str: PlainText,
        datetime: UtcTime,
        dict[str, Any]: CanonicalJson,
        list[str]: CanonicalJson,
        enum.Enum: Enum(enum.Enum, native_enum=False, create_constraint=True, length=20, values_callable=_values),
    }


class Numbered(MappedAsDataclass, kw_only=True, eq=False):
    """A row named by a number that the database gives and never gives again; never a seed."""

    id: Mapped[int] = mapped_column(primary_key=True, init=False, sort_order=-1)


def partial_index(name: str, columns: Sequence[str], where: str, unique: bool = False) -> Index:
    """An index over the rows that meet a condition, on both databases."""
    return Index(name, *columns, unique=unique, sqlite_where=text(where), postgresql_where=text(where))
