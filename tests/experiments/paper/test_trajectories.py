"""Figures 1 and 2 as computed: the quick form holds, outlines are right, the picture is sound."""

from __future__ import annotations

import json
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from seamwise.continual import SynapticIntelligence
from seamwise.experiments.paper import trajectories
from seamwise.experiments.paper.trajectories.contours import Outline, regions
from seamwise.experiments.paper.trajectories.landscape import KEPT, TASK_1, TASK_2
from seamwise.experiments.paper.trajectories.surrogate import MINIMUM, second_derivative
from tests.experiments.paper.test_theory import end_of

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def result() -> dict[str, Any]:
    *progress, result = trajectories.compute(quick=True)
    shares = [share for share, words in progress if words]
    assert shares == sorted(shares)
    return dict(json.loads(json.dumps(result, allow_nan=False)))


def test_every_figure_lies_within_its_tolerance(result: dict[str, Any]) -> None:
    assert len(result["checks"]) == 11
    assert [row for row in result["checks"] if not row["passed"]] == []


def test_plain_descent_forgets_and_consolidation_finds_a_place_for_both(result: dict[str, Any]) -> None:
    ends = result["landscape"]["ends"]
    plain, kept = ends["task 2"], ends["task 2 with SI"]
    assert plain["loss 2"] < 1e-6 < 2 < plain["loss 1"]
    assert max(kept["loss 1"], kept["loss 2"]) < 0.1 * ends["start"]["loss 1"]
    for name, well, task in (("task 1", TASK_1, "loss 1"), ("task 2", TASK_2, "loss 2")):
        np.testing.assert_allclose(ends[name]["theta"], well.minimum, atol=1e-3)
        assert ends[name][task] == pytest.approx(well.at(np.array(ends[name]["theta"])), abs=1e-12)


def test_ways_start_where_the_task_before_ended(result: dict[str, Any]) -> None:
    ends, ways = result["landscape"]["ends"], result["landscape"]["paths"]
    assert all(len(way) == KEPT for way in ways.values())
    for name, start in (("task 1", "start"), ("task 2", "task 1"), ("task 2 with SI", "task 1")):
        np.testing.assert_allclose(ways[name][0], ends[start]["theta"])
        np.testing.assert_allclose(ways[name][-1], ends[name]["theta"])


def test_without_the_pull_nothing_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """The checks are about the implementation: with its pull taken out they fail."""
    monkeypatch.setattr(SynapticIntelligence, "adjust", lambda self, step: self.seen.gradients or self.observe(step))
    failed = {row["name"] for row in end_of(trajectories.landscape(quick=True))["checks"] if not row["passed"]}
    assert {"larger of both losses after task 2 with SI, c = 1"} < failed


def test_a_well_is_a_parabola_at_its_minimum() -> None:
    """log(1 + q) has the Hessian of q there: twice the form's values, along and across."""
    at = torch.tensor(TASK_2.minimum, dtype=torch.float64)
    values = torch.linalg.eigvalsh(torch.autograd.functional.hessian(TASK_2, at))
    np.testing.assert_allclose(values.numpy(), [2 * TASK_2.along, 2 * TASK_2.across], rtol=1e-12)
    assert TASK_2.at(np.array(TASK_2.minimum)) == 0.0


def test_curvature_of_the_cut_by_hand() -> None:
    """At the minimum: 2 x 1.5 from the logarithm, 0.1 x 4^2 from the ripple."""
    assert second_derivative(MINIMUM) == pytest.approx(3 + 1.6, rel=1e-12)


def area(outline: Outline) -> float:
    x, y = np.array(outline).T
    return 0.5 * float(x @ np.roll(y, -1) - y @ np.roll(x, -1))


def bowl(side: int = 101) -> NDArray[np.float64]:
    row, column = np.mgrid[0:side, 0:side]
    values: NDArray[np.float64] = (row - 50.0) ** 2 + (column - 50.0) ** 2
    return values


def test_outline_of_a_circle() -> None:
    (circle,) = regions(bowl(), level=900.0)
    np.testing.assert_allclose(np.hypot(*(np.array(circle) - 50).T), 30, atol=0.01)
    assert area(circle) == pytest.approx(np.pi * 900, rel=1e-3)


def test_an_outline_that_leaves_the_grid_follows_its_border() -> None:
    (border,) = regions(bowl(), level=1e9)
    assert area(border) == pytest.approx(100 * 100)
    (cut,) = regions(bowl()[:, 50:], level=900.0)
    assert area(cut) == pytest.approx(np.pi * 450, rel=1e-2)
    assert regions(bowl(), level=-1.0) == []


def test_a_ring_has_a_hole() -> None:
    outlines = sorted(area(outline) for outline in regions(np.abs(bowl() - 900), level=300.0))
    np.testing.assert_allclose(outlines, [-np.pi * 600, np.pi * 1200], rtol=1e-3)


@pytest.mark.parametrize(("middle", "pieces"), [(0.9, 2), (-0.9, 1)])
@pytest.mark.parametrize("flipped", [False, True])
def test_the_middle_of_a_saddle_decides(middle: float, pieces: int, flipped: bool) -> None:
    """Two low corners hang together where the cell's mean is low."""
    values = np.array([[-1 + middle, 1 + middle], [1 + middle, -1 + middle]])
    if flipped:
        values = values[:, ::-1]
    assert len(regions(values, level=0.0)) == pieces


def test_page_and_picture(result: dict[str, Any]) -> None:
    page = trajectories.markdown(result)
    assert "11 of 11 figures lie within their tolerance." in page
    assert all(row["name"] in page for row in result["checks"])
    assert {line.count("|") for line in page.splitlines() if line.startswith("|")} == {9, 5}
    root = ElementTree.fromstring(trajectories.picture(result))
    titles = [panel.findtext(f"{SVG}title") for panel in root.iter(f"{SVG}svg") if panel.findtext(f"{SVG}title")]
    assert titles == ["Loss of task 1", "Loss of task 2", "Surrogate loss after one task"]
    shown = [element.text for element in root.iter(f"{SVG}text")]
    for name, task in (("task 2", "loss 1"), ("task 2 with SI", "loss 2")):
        assert any(f": {result['landscape']['ends'][name][task]:.2f}" in (words or "") for words in shown)
