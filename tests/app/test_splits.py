"""Sides: by the name of a weld alone, and never two for one weld."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from sqlalchemy.event import listen

from seamwise.app.app import App
from seamwise.app.images import ImageAbout, receive
from seamwise.app.splits import choose_side, group_of, side_of
from seamwise.storage.database import reading
from seamwise.storage.tables import Side
from tests.app.pictures import INSPECTOR, make_domain, picture


def test_golden_sides() -> None:
    """These never change: a picture of a qualification set would become one for training."""
    found = [side_of("steel", f"weld-{number}") for number in range(12)]
    assert [str(side) for side in found] == [
        "train",
        "train",
        "val",
        "train",
        "train",
        "test",
        "test",
        "train",
        "val",
        "train",
        "train",
        "test",
    ]
    assert side_of("steel", "weld-1") != side_of("other", "weld-1") or side_of("steel", "weld-2") != side_of(
        "other", "weld-2"
    )


def test_a_fifth_each_is_for_test_and_validation() -> None:
    counts = Counter(side_of("steel", str(number)) for number in range(20_000))
    assert abs(counts[Side.TEST] / 20_000 - 0.2) < 0.01
    assert abs(counts[Side.VAL] / 20_000 - 0.2) < 0.01


def test_the_group_is_the_weld_else_the_part_else_the_picture() -> None:
    assert group_of("w", "p", "h") == "w"
    assert group_of(None, "p", "h") == "p"
    assert group_of(None, None, "h") == "h"


def test_all_pictures_of_a_weld_are_on_the_side_of_its_first(app: App) -> None:
    make_domain(app)
    for seed, field in enumerate(("weld", "part")):
        name = next(f"{field}-{n}" for n in range(99) if side_of("steel", f"{field}-{n}") is Side.TRAIN)
        wished = receive(app, INSPECTOR, picture(seed), ImageAbout(domain="steel", side="test", **{field: name}))
        assert wished.side is Side.TEST
        later = receive(app, INSPECTOR, picture(seed + 12000), ImageAbout(domain="steel", **{field: name}))
        assert later.side is Side.TEST
        against = receive(
            app,
            INSPECTOR,
            picture(seed + 14000),
            ImageAbout(domain="steel", side="train", **{field: name}),
        )
        assert against.side is Side.TEST


@pytest.mark.parametrize(("told", "index"), [({"weld": "w"}, "weld_id"), ({"part": "p"}, "domain_id_part_id")])
def test_the_others_of_a_weld_or_part_are_found_along_an_index(app: App, told: dict[str, str], index: str) -> None:
    domain = make_domain(app)
    asked: list[tuple[str, Any]] = []
    with reading(app.database) as session:
        listen(app.database, "before_cursor_execute", lambda *call: asked.append((call[2], call[3])))
        choose_side(session, domain, sha256="x", **{"weld": None, "part": None} | told)
        statement, values = asked[-1]
        plan = session.connection().exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values).all()
    assert [row.detail.partition(" (")[0] for row in plan] == [f"SEARCH image USING INDEX ix_image_{index}"]
