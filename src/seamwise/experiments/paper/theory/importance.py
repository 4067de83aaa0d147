"""Eq. 4 and 5 by Synaptic Intelligence as it is implemented, on quadratic losses whose answers are known."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from seamwise.continual import Draw, SynapticIntelligence
from seamwise.experiments.paper.theory.check import Check, check, order
from seamwise.experiments.paper.theory.descent import Array, Point, descend, importance, normal, path, uniform
from seamwise.experiments.paper.theory.progress import Part
from seamwise.experiments.paper.theory.quadratic import path_matrix, random_hessian, stepped_path

SIZE = 4
COARSEST = 0.04
SMALL = 1e-14  # xi, which Eq. 5 wants only where a parameter hardly moved
STOP = 2.0  # where the coupled flow is stopped, in units of tau


def implemented(seed: int, quick: bool) -> Part:
    """Follows plain gradient descent with small steps on coupled, separate and rank-one quadratic losses."""
    draw = Draw(("paper", "theory", "importance", seed))
    rates = [COARSEST / 2**k for k in range(3 if quick else 6)]
    coupled = yield from _coupled(draw.of("coupled"), rates, 0.1 if quick else 0.02)
    separate = yield from _two_tasks(draw.of("separate"), rates[-1])
    along = _rank_one(draw.of("rank one"), rates[-1])
    yield 1.0
    checks = [*coupled.pop("checks"), *separate.pop("checks"), along]
    return {"checks": checks, **coupled, **separate}


def _quadratic(model: Point, hessian: Array, minimum: Array) -> Any:
    """The loss 1/2 (theta - minimum)^T H (theta - minimum) as a function without arguments."""
    h, centre = torch.tensor(hessian), torch.tensor(minimum)

    def loss() -> Tensor:
        away = model.theta - centre
        value: Tensor = 0.5 * away @ (h @ away)
        return value

    return loss


def _coupled(draw: Draw, rates: list[float], few: float) -> Part:
    """w of the implementation against the diagonal of Q (Eq. 10 and 11), stopped early, as the step shrinks."""
    hessian, away = random_hessian(draw, SIZE), normal(draw.of("away"), SIZE)
    expected = np.diag(path_matrix(hessian, away, STOP))
    errors, series, grown = [], [], []
    for place, rate in enumerate(rates):
        model, si = Point(away), SynapticIntelligence()
        steps = round(STOP / rate)
        optimizer = torch.optim.SGD(model.parameters(), lr=rate)
        grown = [(0.0, np.zeros(SIZE))]
        loss = _quadratic(model, hessian, np.zeros(SIZE))
        for done, _ in enumerate(descend(si, model, optimizer, loss, steps), start=1):
            if done % (steps // 10) == 0:
                grown.append((done * rate, path(si)["theta"].numpy()))
        w = path(si)["theta"].numpy()
        errors.append(float(np.abs(w - expected).max() / expected.sum()))
        exact = stepped_path(hessian, away, rate, steps)
        series.append(float(np.abs(w - exact).max() / exact.sum()))
        yield 0.5 * 2.0 ** (place + 1 - len(rates))
    slope, spread = order(rates, errors)
    checks = [
        check(
            "w of the implementation against its geometric series, plain SGD: largest error over Σw",
            "3",
            max(series),
            0.0,
            max(series),
            1e-10,
            statement="w sums -g times the step",
        ),
        check(
            f"w of the implementation against Q_ii at t = {STOP:g} τ: power of the step "
            f"(fit ± {spread:.4f}; smallest error {errors[-1]:.1e})",
            "3, 10, 11",
            slope,
            1.0,
            abs(slope - 1),
            few,
            statement="w is the diagonal of Q",
        ),
    ]
    times = np.linspace(0, STOP, 41)
    flow = [[float(t), *np.diag(path_matrix(hessian, away, float(t))).tolist()] for t in times]
    return {
        "checks": checks,
        "steps": rates,
        "step_errors": errors,
        "flow": flow,
        "grown": [[float(t), *w.tolist()] for t, w in grown],
    }


def _two_tasks(draw: Draw, rate: float) -> Part:
    """Two tasks with diagonal Hessians: what is measured in the first, and where c = 1 leads in the second."""
    h1, h2 = (0.5 + 3.5 * uniform(draw.of("curvature", task), SIZE) for task in (1, 2))
    minimum1, minimum2 = (normal(draw.of("minimum", task), SIZE) for task in (1, 2))
    start = normal(draw.of("start"), SIZE) + minimum1
    start += np.sign(start - minimum1)  # every parameter has a way to go
    model, si = Point(start), SynapticIntelligence(c=1.0, xi=SMALL)
    yield from _train(model, si, h1, minimum1, rate, 0.5)
    si.consolidate(model)
    omega, reference = importance(si)["theta"].numpy(), model.place
    probes = minimum1 + 2 * normal(draw.of("probe"), 50, SIZE)
    surrogate = si.c * ((probes - reference) ** 2) @ omega  # Eq. 4
    truth = 0.5 * ((probes - minimum1) ** 2) @ h1
    si.begin(model)
    yield from _train(model, si, h2, minimum2, rate, 0.7)
    both = (h1 * minimum1 + h2 * minimum2) / (h1 + h2)
    expected = h1 / 2
    excess = rate * float(h1.max())
    errors = {
        "omega": float(np.abs(omega / expected - 1).max()),
        "surrogate": float(np.abs(surrogate / truth - 1).max()),
        "end": float(np.abs(model.place - both).max() / np.abs(minimum2 - minimum1).max()),
    }
    # Finite steps measure h / (2 - lr h) where the flow has h / 2: too much by a part of lr h / (2 - lr h) < lr h.
    steps = f"lr {rate:g}; tolerance: lr times the largest H_ii"
    names = (
        (f"Ω against H_ii / 2, ξ → 0, diagonal H ({steps})", "5", "omega", "Ω = w / Δ²"),
        (
            "c = 1: c Ω (θ - θ~)² against the loss of task 1 at 50 places",
            "4",
            "surrogate",
            "the surrogate stands in for the loss",
        ),
        ("c = 1: end of task 2 against the minimum of both losses' sum", "4, 5", "end", "c = 1 weighs both alike"),
    )
    return {
        "checks": [
            check(f"{name}; largest relative error", equation, errors[key], 0.0, errors[key], excess, statement=said)
            for name, equation, key, said in names
        ],
        "omega": omega.tolist(),
        "half_curvature": expected.tolist(),
        "ends": {"task 1": reference.tolist(), "with SI": model.place.tolist(), "sum of both": both.tolist()},
    }


def _train(
    model: Point, si: SynapticIntelligence, h: Array, minimum: Array, rate: float, done: float
) -> Generator[float, None, None]:
    """To the minimum: exp(-12) of the distance is left where the curvature is least."""
    steps = round(12 / float(h.min()) / rate)
    optimizer = torch.optim.SGD(model.parameters(), lr=rate)
    for count, _ in enumerate(descend(si, model, optimizer, _quadratic(model, np.diag(h), minimum), steps)):
        if count % 500 == 0:
            yield done + 0.2 * count / steps


def _rank_one(draw: Draw, rate: float) -> Check:
    """Eq. 5 after Eq. 14: both w and Delta² hold u_i², so that every parameter gets the same Omega, lambda / 2."""
    u = normal(draw.of("direction"), SIZE)
    u /= np.linalg.norm(u)
    curved = 2.0
    model, si = Point(u + normal(draw.of("start"), SIZE)), SynapticIntelligence(xi=SMALL)
    optimizer = torch.optim.SGD(model.parameters(), lr=rate)
    loss = _quadratic(model, curved * np.outer(u, u), np.zeros(SIZE))
    for _ in descend(si, model, optimizer, loss, round(12 / curved / rate)):
        pass
    si.consolidate(model)
    omega = importance(si)["theta"].numpy()
    far = float(omega[np.abs(omega - curved / 2).argmax()])
    return check(
        "Ω for H = λ u uᵀ, λ = 2, the farthest parameter: λ / 2 whatever u_i, not H_ii / 2",
        "5, 14",
        far,
        curved / 2,
        abs(far / (curved / 2) - 1),
        rate * curved,  # as in `_two_tasks`
    )
