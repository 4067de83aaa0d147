"""Figure 1: two losses over two parameters, and the ways gradient descent takes through them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy.optimize import minimize
from torch import Tensor

from seamwise.continual import SynapticIntelligence
from seamwise.experiments.paper.theory.check import Check, check
from seamwise.experiments.paper.theory.descent import Array, Point, descend, importance, path
from seamwise.experiments.paper.theory.progress import Part

SMALL = 1e-9  # xi
KEPT = 160  # points of a way that are drawn


@dataclass(frozen=True)
class Well:
    """The loss log(1 + q), q a quadratic form: a parabola near its minimum that flattens far away.

    along, across: the form's values along the valley and across it. turned: degrees from the first axis to the valley.
    """

    minimum: tuple[float, float]
    along: float
    across: float
    turned: float

    def __call__(self, theta: Tensor) -> Tensor:
        """theta: (..., 2). Returns the loss, (...)."""
        angle = math.radians(self.turned)
        x, y = theta[..., 0] - self.minimum[0], theta[..., 1] - self.minimum[1]
        down, over = x * math.cos(angle) + y * math.sin(angle), y * math.cos(angle) - x * math.sin(angle)
        return torch.log1p(self.along * down**2 + self.across * over**2)

    def at(self, place: Array) -> float:
        return float(self(torch.tensor(place, dtype=torch.float64)))


# Task 1 minds theta_2, task 2 rather theta_1, so that a place good for both lies where the valleys cross.
TASK_1 = Well((-1.1, -0.9), along=0.035, across=3.0, turned=3.0)
TASK_2 = Well((1.0, 1.0), along=0.08, across=2.5, turned=-78.0)
START = np.array([-1.9, 1.6])


def landscape(quick: bool) -> Part:
    """The ways through task 1 and then through task 2, without and with consolidation, and the losses at their ends."""
    rate, time = (0.1, 120.0) if quick else (0.01, 140.0)
    model, si = Point(START), SynapticIntelligence(c=1.0, xi=SMALL)
    first = walk(model, si, TASK_1, rate, time)
    w = path(si)["theta"].numpy()
    si.consolidate(model)
    learned, omega = model.place, importance(si)["theta"].numpy()
    yield 1 / 3
    si.begin(model)
    kept = walk(model, si, TASK_2, rate, time)
    with_si = model.place
    yield 2 / 3
    model = Point(learned)
    forgot = walk(model, SynapticIntelligence(c=0.0), TASK_2, rate, time)
    places = {"start": START, "task 1": learned, "task 2": model.place, "task 2 with SI": with_si}
    ends = {
        name: {"theta": place.tolist(), "loss 1": TASK_1.at(place), "loss 2": TASK_2.at(place)}
        for name, place in places.items()
    }
    drop = TASK_1.at(START) - TASK_1.at(learned)
    return {
        "checks": [*_figures(ends, omega), *_equations(w, drop, omega, learned, with_si, si.c, rate)],
        "ends": ends,
        "importance": omega.tolist(),
        "paths": {"task 1": first, "task 2": forgot, "task 2 with SI": kept},
        "rate": rate,
    }


def walk(model: Point, si: SynapticIntelligence, well: Well, rate: float, time: float) -> list[list[float]]:
    """Plain gradient descent; returns the way, thinned to places about evenly apart."""
    optimizer = torch.optim.SGD(model.parameters(), lr=rate)
    places = [model.place]
    places += [model.place for _ in descend(si, model, optimizer, lambda: well(model.theta), round(time / rate))]
    way = np.array(places)
    length = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(way, axis=0), axis=1))])
    wanted = np.linspace(0, length[-1], KEPT)
    thinned: list[list[float]] = np.column_stack([np.interp(wanted, length, column) for column in way.T]).tolist()
    return thinned


def _figures(ends: dict[str, dict[str, Any]], omega: Array) -> list[Check]:
    """What the paper's drawing says, in numbers."""
    before, plain, kept = ends["task 1"], ends["task 2"], ends["task 2 with SI"]
    forgotten, remembered = plain["loss 1"] - before["loss 1"], kept["loss 1"] - before["loss 1"]
    return [
        check(
            "importance of θ2 over that of θ1 after task 1: above 1",
            "5",
            ratio := float(omega[1] / omega[0]),
            1.0,
            max(0.0, 1 - ratio),
            0.0,
            statement="θ2 was more important for solving task 1 than θ1",
        ),
        check(
            "loss 2 after task 2 without consolidation",
            "–",
            plain["loss 2"],
            0.0,
            plain["loss 2"],
            1e-6,
            statement="the final point minimises the loss of task 2",
        ),
        check(
            "rise of loss 1 during task 2 without consolidation: above 1",
            "–",
            forgotten,
            1.0,
            max(0.0, 1 - forgotten),
            0.0,
            statement="at the expense of a much larger loss of task 1",
        ),
        check(
            "larger of both losses after task 2 with SI, c = 1",
            "4",
            worse := max(kept["loss 1"], kept["loss 2"]),
            0.0,
            worse,
            0.3,
            statement="another point has a small loss for both tasks",
        ),
        check(
            "rise of loss 1 with SI over that without: below 1/4",
            "4",
            share := remembered / forgotten,
            0.0,
            share,
            0.25,
            statement="consolidation avoids forgetting",
        ),
    ]


def _equations(w: Array, drop: float, omega: Array, learned: Array, end: Array, c: float, rate: float) -> list[Check]:
    """That the way with SI is the one Eq. 3 to 5 prescribe."""
    error = abs(float(w.sum()) / drop - 1)

    def total(theta: Array) -> float:
        return TASK_2.at(theta) + c * float(omega @ (theta - learned) ** 2)  # Eq. 4

    best = minimize(total, end + 0.1, method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-14}).x
    apart = float(np.linalg.norm(end - best))
    return [
        check("Σw of task 1 over its loss drop", "3", float(w.sum()) / drop, 1.0, error, rate),
        check(
            "distance from the end with SI to the minimum of loss 2 + c Σ Ω (θ~ - θ)², found by Nelder-Mead",
            "4, 5",
            apart,
            0.0,
            apart,
            1e-5,
            statement="the surrogate stands in for the loss of task 1",
        ),
    ]
