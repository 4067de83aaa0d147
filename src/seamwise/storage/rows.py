"""Rows that may be there already, and pages of rows: the two statements that plain CRUD lacks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

from sqlalchemy import Select, inspect
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import InstrumentedAttribute, Session

from seamwise.errors import BadInputError
from seamwise.storage.along import along_index
from seamwise.storage.columns import Numbered, Row

LARGEST_ID = 2**63 - 1
_Record = TypeVar("_Record", bound=Numbered)


def insert_unless_there(session: Session, row: Row) -> bool:
    """Inserts a row that brings its own key, unless that key or a unique value is there; says whether it did.

    Waits for a transaction that is inserting the same. `row` itself does not become part of the session.
    """
    mapper = inspect(type(row))
    values = {attribute.key: getattr(row, attribute.key) for attribute in mapper.column_attrs}
    dialect = postgresql if session.get_bind().dialect.name == "postgresql" else sqlite
    statement = dialect.insert(type(row)).values(values).on_conflict_do_nothing().returning(mapper.primary_key[0])
    return session.scalar(statement) is not None


@dataclass(frozen=True)
class Page(Generic[_Record]):
    """Some rows of a list, and the cursor of the next page; None at the end."""

    items: tuple[_Record, ...]
    next: str | None


def page(
    session: Session,
    rows: Select[_Record],
    by: InstrumentedAttribute[int],
    *,
    cursor: str | None = None,
    limit: int = 50,
    newest_first: bool = True,
) -> Page[_Record]:
    """One page of `rows` in the order of their ids, from where the page that gave `cursor` ended.

    Costs the same on every page of a list of any length, given an index on what `rows` is filtered by and the id; rows
    that come meanwhile shift nothing. by: the id column. Raises BadInputError for a cursor that no page gave.
    """
    last = None if cursor is None else _number(cursor)
    walk = None
    if session.get_bind().dialect.name == "postgresql":
        walk = along_index(rows, by, last, newest_first)
    if walk is None:
        walk = rows.order_by(by.desc() if newest_first else by)
        if last is not None:
            walk = walk.where(by < last if newest_first else by > last)
    found = session.scalars(walk.limit(limit + 1)).all()
    items = tuple(found[:limit])
    return Page(items, str(items[-1].id) if len(found) > limit else None)


def _number(cursor: str) -> int:
    if cursor.isascii() and cursor.isdigit() and len(cursor) < 20 and int(cursor) <= LARGEST_ID:
        return int(cursor)
    raise BadInputError(f"cursor {cursor[:40]!r}: not one that a page gave; leave it out to begin anew")
