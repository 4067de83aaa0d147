"""Both databases: pages of filtered lists hold the right rows, and read few others to find them."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Engine, Select, event, insert, select, text
from sqlalchemy.orm import aliased

from seamwise.storage.columns import utc_now
from seamwise.storage.database import reading, writing
from seamwise.storage.rows import page
from seamwise.storage.tables import AuditEvent, Job, JobState
from tests.contract.adapters import DATABASES

KINDS, LINES = ("train", "predict", "évaluer"), ("a", "b", None)


def add_jobs(database: Engine, count: int, fields: Callable[[int], dict[str, Any]]) -> None:
    now = utc_now()
    fixed = {"queue": "cpu", "spec": {}, "created_by": "key/1", "attempt": 1, "worker": "w", "counter": 0}
    fixed |= {"fruitless": 0, "priority": 100, "created_at": now, "queued_at": now, "finished_at": now}
    rows = [{**fixed, "kind": "train", "state": JobState.SUCCEEDED, "line": None, **fields(n)} for n in range(count)]
    with writing(database) as session:
        session.execute(insert(Job.__table__), rows)
        session.execute(text("ANALYZE"))


def walked(database: Engine, rows: Select[Job], *, newest_first: bool, limit: int = 7) -> list[int]:
    """The ids on all pages of a list."""
    seen: list[int] = []
    cursor = None
    while True:
        with reading(database) as session:
            found = page(session, rows, Job.id, cursor=cursor, limit=limit, newest_first=newest_first)
        seen += [job.id for job in found.items]
        if (cursor := found.next) is None:
            return seen


def test_pages_of_every_filter_hold_what_it_names(database: Engine) -> None:
    draw = random.Random(0)
    states = (JobState.SUCCEEDED, JobState.FAILED)
    chosen = [{"kind": draw.choice(KINDS), "state": draw.choice(states), "line": draw.choice(LINES)} for _ in range(60)]
    add_jobs(database, len(chosen), lambda number: chosen[number])
    for wanted in (
        *({"kind": kind} for kind in KINDS),
        *({"line": line} for line in LINES),
        *({"kind": kind, "state": state} for kind in KINDS for state in states),
        {"kind": "train", "line": None, "state": JobState.FAILED},
        {"kind": "none"},
        {},
    ):
        rows = select(Job).where(*(getattr(Job, name) == value for name, value in wanted.items()))
        ids = [n + 1 for n, row in enumerate(chosen) if all(row[name] == value for name, value in wanted.items())]
        assert walked(database, rows, newest_first=False) == ids, wanted
        assert walked(database, rows, newest_first=True) == ids[::-1], wanted


def test_other_conditions_hold_beside_the_filter(database: Engine) -> None:
    add_jobs(database, 40, lambda number: {"kind": KINDS[number % 2], "line": LINES[number % 3]})
    trains = select(Job).where(Job.kind == "train")
    assert walked(database, trains.where(Job.id > 30, Job.line.is_not(None)), newest_first=False) == [31, 35, 37]
    assert walked(database, trains.where(Job.id.in_([1, 2, 3])), newest_first=True) == [3, 1]
    assert walked(database, trains.where(Job.kind == "predict"), newest_first=True) == []
    other = aliased(Job)
    joined = trains.join(other, (other.id == Job.id) & (other.line == "a"))
    assert walked(database, joined, newest_first=False) == [1, 7, 13, 19, 25, 31, 37]


@pytest.mark.parametrize("database", DATABASES[1:], indirect=True)
@pytest.mark.parametrize(
    ("rows", "index", "cursor"),
    [
        (select(Job).where(Job.kind == "old"), "ix_job_kind_id", None),
        (select(Job).where(Job.kind == "old"), "ix_job_kind_id", "400"),
        (select(Job).where(Job.kind == "old", Job.state == JobState.SUCCEEDED), "ix_job_kind_state_id", None),
        (select(Job).where(Job.kind == "old", Job.state == JobState.SUCCEEDED), "ix_job_kind_state_id", "400"),
        (select(Job).where(Job.line.is_(None), Job.worker == "w"), "ix_job_line_id", None),
    ],
)
def test_old_rows_are_found_without_reading_the_newer(
    database: Engine, rows: Select[Job], index: str, cursor: str | None
) -> None:
    add_jobs(database, 4000, lambda n: {"kind": "old" if n < 500 else "new", "line": None if n < 500 else f"l{n}"})
    said: list[tuple[str, Any]] = []
    event.listen(database, "before_cursor_execute", lambda *told: said.append((told[2], told[3])))
    with reading(database) as session:
        assert len(page(session, rows, Job.id, cursor=cursor, limit=50).items) == 50
        statement, parameters = said[-1]
        plan = session.connection().exec_driver_sql(f"EXPLAIN (ANALYZE) {statement}", parameters).scalars().all()
    assert any(f"using {index}" in line for line in plan), plan
    assert not any("Rows Removed" in line for line in plan), plan


def test_a_list_without_a_filter_is_in_the_order_of_ids(database: Engine) -> None:
    with writing(database) as session:
        session.add_all(AuditEvent(actor="a", action=str(number), subject="c") for number in range(5))
    with reading(database) as session:
        found = page(session, select(AuditEvent).where(AuditEvent.action != "2"), AuditEvent.id, limit=3)
    assert ([row.action for row in found.items], found.next) == (["4", "3", "1"], "2")
