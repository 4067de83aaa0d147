"""Figure 2: a loss over one parameter, the surrogate that is kept of it, and the parabola of its Hessian."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from seamwise.continual import SynapticIntelligence
from seamwise.experiments.paper.theory.check import check
from seamwise.experiments.paper.theory.descent import Point, descend, importance, path
from seamwise.experiments.paper.theory.progress import Part

START, MINIMUM = -2.2, 0.7
SHOWN = (-2.7, 2.7)
SMALL = 1e-12  # xi


def loss_1(theta: Tensor) -> Tensor:
    """A valley with a ripple: smooth, not convex, one minimum."""
    away = theta - MINIMUM
    loss: Tensor = torch.log1p(1.5 * away**2) + 0.1 * (1 - torch.cos(4 * away))
    return loss


def second_derivative(theta: float) -> float:
    """Of the loss, at a place."""
    at = torch.tensor(theta, dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(loss_1(at), at, create_graph=True)
    (curvature,) = torch.autograd.grad(slope, at)
    return float(curvature)


def surrogate(quick: bool) -> Part:
    """Descends to the minimum with small steps and compares the surrogate with what it should share with the loss."""
    rate = 0.01 if quick else 0.002
    model, si = Point(np.array([START])), SynapticIntelligence(c=1.0, xi=SMALL)
    optimizer = torch.optim.SGD(model.parameters(), lr=rate)
    losses, steps = [], round(12 / rate)
    for done, loss in enumerate(descend(si, model, optimizer, lambda: loss_1(model.theta).sum(), steps)):
        losses.append(loss)
        if done % 1000 == 0:
            yield done / steps
    w = float(path(si)["theta"])
    si.consolidate(model)
    omega, end = float(importance(si)["theta"]), float(model.place[0])
    pulled_to = float(si.state_dict()["reference.theta"])  # where the surrogate is smallest
    lowest = float(loss_1(model.theta).detach())
    drop, kept = losses[0] - lowest, si.c * omega * (START - end) ** 2
    curvature = second_derivative(end)
    grid = np.linspace(*SHOWN, 181)
    away = grid - end
    curves = {
        "loss": loss_1(torch.tensor(grid)).numpy(),
        "surrogate": lowest + si.c * omega * away**2,
        "hessian": lowest + curvature / 2 * away**2,
    }
    return {
        "checks": [
            check(
                "drop of the surrogate from θ(0) to θ(T) over the drop of the loss",
                "3–5",
                kept / drop,
                1.0,
                abs(kept / drop - 1),
                2 * rate,
                statement="the surrogate matches the total drop of the loss",
            ),
            check(
                "displacement that Ω was divided by, (w / Ω)^½, over the distance from θ(0) to θ(T)",
                "5",
                share := (w / omega) ** 0.5 / abs(end - START),
                1.0,
                abs(share - 1),
                1e-9,
                statement="it matches the net motion",
            ),
            check(
                "minimum of the surrogate less minimum of the loss",
                "4",
                pulled_to - MINIMUM,
                0.0,
                abs(pulled_to - MINIMUM),
                1e-9,
                statement="its minimum is the end point",
            ),
            check(
                "Ω over half the Hessian at the minimum: not 1",
                "–",
                ratio := omega / (curvature / 2),
                1.0,
                max(0.0, 0.5 - abs(ratio - 1)),
                0.0,
                statement="it is not the parabola of the Hessian at the minimum",
            ),
        ],
        "theta": grid.tolist(),
        "curves": {name: values.tolist() for name, values in curves.items()},
        "start": [START, losses[0]],
        "end": [end, lowest],
        "rate": rate,
    }
