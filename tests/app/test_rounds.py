"""Rounds: proposed once, taken up or dismissed once, numbered without gaps."""

from __future__ import annotations

from pathlib import Path

import pytest

from seamwise.app.actor import SYSTEM
from seamwise.app.app import App
from seamwise.app.rounds import dismiss_round, get_round, list_rounds, propose
from seamwise.app.trainings import start_training
from seamwise.errors import NotFoundError, RefusedError
from seamwise.storage.database import writing
from seamwise.storage.tables import RoundState
from tests.worker.tiny import add_domain, training


def proposed(app: App, domain: str = "film", line: str = "welds") -> int:
    with writing(app.database) as session:
        return propose(session, line, domain, {"kind": "reviews", "count": 20}, SYSTEM).id


def test_a_proposal_stays_one_until_it_is_answered(app: App) -> None:
    first = proposed(app)
    assert proposed(app) == first
    second, elsewhere = proposed(app, "scan"), proposed(app, line="other")
    assert [get_round(app, SYSTEM, number).number for number in (first, second, elsewhere)] == [1, 2, 1]
    assert dismiss_round(app, SYSTEM, first).state is RoundState.DISMISSED
    third = proposed(app)
    assert get_round(app, SYSTEM, third).number == 3
    assert get_round(app, SYSTEM, third).cause == {"kind": "reviews", "count": 20, "domain": "film"}
    found = list_rounds(app, SYSTEM, line="welds", state=RoundState.PROPOSED)
    assert [row.id for row in found.items] == [third, second]


def test_a_training_takes_a_proposal_up(app: App, tmp_path: Path) -> None:
    add_domain(app, tmp_path, "film")
    number = proposed(app)
    job = start_training(app, SYSTEM, training("film", round=number))
    row = get_round(app, SYSTEM, number)
    assert (row.state, row.job_id, row.cause["kind"]) == (RoundState.STARTED, job.id, "reviews")
    with pytest.raises(RefusedError, match="no longer proposed"):
        dismiss_round(app, SYSTEM, number)


@pytest.mark.parametrize("wished", [{"line": "other"}, {"domain": "scan"}])
def test_a_proposal_is_for_its_line_and_domain(app: App, tmp_path: Path, wished: dict[str, str]) -> None:
    for name in ("film", "scan"):
        add_domain(app, tmp_path, name)
    number = proposed(app)
    with pytest.raises(RefusedError, match="is for film in line welds"):
        start_training(app, SYSTEM, training(**{"domain": "film", "round": number, **wished}))
    assert get_round(app, SYSTEM, number).state is RoundState.PROPOSED


@pytest.mark.parametrize("number", [0, 7, 2**70])
def test_other_numbers_are_no_rounds(app: App, number: int) -> None:
    with pytest.raises(NotFoundError):
        get_round(app, SYSTEM, number)
