"""Versions by name, and the forgetting that a matrix shows."""

from __future__ import annotations

import pytest

from seamwise.app.actor import SYSTEM
from seamwise.app.app import App
from seamwise.app.models import find_version, forgetting_table, forgotten
from seamwise.continual import metrics
from seamwise.errors import NotFoundError
from seamwise.storage.database import reading


@pytest.mark.parametrize(
    "name", ["", "welds", "welds/", "welds/1", "welds/-1", "welds/1/2", "welds/" + "9" * 30, "/1", "welds/\u0661"]
)
def test_other_names_are_no_versions(app: App, name: str) -> None:
    with reading(app.database) as session, pytest.raises(NotFoundError, match="LINE/NUMBER"):
        find_version(session, name)


def test_a_line_without_a_version_has_no_table(app: App) -> None:
    with pytest.raises(NotFoundError, match="no version yet"):
        forgetting_table(app, SYSTEM, "welds")


@pytest.mark.parametrize(
    "R",
    [
        [[0.8, None, None], [0.6, 0.7, None], [0.65, 0.4, 0.9]],
        [[0.8, 0.1, 0.1], [0.6, 0.7, 0.2], [0.55, 0.6, 0.8]],  # evaluated on domains not learned yet, too
        [[0.5, 0.1], [0.5, 0.6]],
        [[0.9, 0.1], [0.2, 0.6]],
    ],
)
def test_forgetting_is_that_of_the_literature(R: list[list[float | None]]) -> None:
    found = forgotten(R, range(len(R)))
    assert found[-1] is None
    known = [value for value in found if value is not None]
    assert sum(known) / len(known) == pytest.approx(metrics.forgetting(R))


def test_a_domain_learned_twice_counts_from_its_best() -> None:
    R = [[0.5, None], [0.4, 0.7], [0.9, 0.6], [0.8, 0.5]]
    assert forgotten(R, (0, 1)) == (pytest.approx(0.1), pytest.approx(0.2))
    assert forgotten([[0.5, None]], (0, 0)) == (None, None)
    assert forgotten([[0.5], [None]], (0,)) == (None,)
