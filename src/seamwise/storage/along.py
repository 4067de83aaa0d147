"""Keeps pages of a filtered list quick on PostgreSQL, wherever in the table their rows lie.

Its planner takes the rows of `domain_id = 3` for evenly spread. So, for the newest of them, it walks the whole table
backwards by id, expecting to meet enough soon; where they are all old, it reads everything before. An order by
(domain_id, id) has only the index of these two, but beside an equality the planner sees through it. Written as a range
of one value, which it does not see through, the same rows come from that index.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeVar

from sqlalchemy import BinaryExpression, BindParameter, BooleanClauseList, Column, ColumnElement, Select, Table, select
from sqlalchemy import tuple_ as row_of
from sqlalchemy.orm import InstrumentedAttribute
from sqlalchemy.sql import operators

_Record = TypeVar("_Record")


def along_index(
    rows: Select[_Record], by: InstrumentedAttribute[int], last: int | None, newest_first: bool
) -> Select[_Record] | None:
    """The same rows after `last`, in the order of an index over what they are filtered by and the id.

    None where no index fits, or the rows come from more than one table.
    """
    table = by.property.columns[0].table
    entity = rows.column_descriptions[0]["entity"]
    if [source.name for source in rows.get_final_froms() if isinstance(source, Table)] != [table.name]:
        return None
    clauses = list(_conjuncts(rows.whereclause))
    equal = {clause.left.name: clause for clause in clauses if _is(clause, operators.eq)}
    empty = {clause.left.name for clause in clauses if _is(clause, operators.is_)}
    names = max((found for known in (equal, empty) for found in _indexed(table, by.key, known)), key=len, default=None)
    if names is None:
        return None
    columns = [table.c[name] for name in names]
    if names[0] in equal:
        taken = [equal[name] for name in names]
        values = [clause.right for clause in taken]
        clauses = [clause for clause in clauses if not any(clause is other for other in taken)]
        # Rows of values, not each by itself: an index is entered at such a row, however deep the page.
        first, end = row_of(*columns), row_of(*values)
        clauses += [first >= end, first <= end]
        if last is not None:
            here, there = row_of(*columns, by), row_of(*values, last)
            clauses.append(here < there if newest_first else here > there)
    elif last is not None:
        clauses.append(by < last if newest_first else by > last)
    order = [*columns, by]
    return select(entity).where(*clauses).order_by(*(key.desc() if newest_first else key for key in order))


def _conjuncts(clause: ColumnElement[Any] | None) -> Iterator[Any]:
    """The conditions that are joined by AND."""
    if isinstance(clause, BooleanClauseList) and clause.operator is operators.and_:
        for each in clause.clauses:
            yield from _conjuncts(each)
    elif clause is not None:
        yield clause


def _is(clause: Any, operator: Any) -> bool:
    """Whether a condition compares a column by this operator: with a value, or with NULL."""
    if not isinstance(clause, BinaryExpression) or clause.operator is not operator:
        return False
    return isinstance(clause.left, Column) and (isinstance(clause.right, BindParameter) or operator is operators.is_)


def _indexed(table: Table, last: str, known: Any) -> Iterator[list[str]]:
    """The columns before `last` of each index that ends with it and is over known columns."""
    for index in table.indexes:
        *names, end = [column.name for column in index.columns]
        whole = index.dialect_options["postgresql"]["where"] is None
        if whole and end == last and names and all(name in known for name in names):
            yield names
