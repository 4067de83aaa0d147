"""Eq. 1 to 3: what the parameters did adds up to what the loss lost, as the steps shrink."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from scipy.integrate import solve_ivp
from torch import Tensor, nn

from seamwise.continual import Draw, SynapticIntelligence
from seamwise.experiments.paper.theory.check import check, order
from seamwise.experiments.paper.theory.descent import Array, descend, path
from seamwise.experiments.paper.theory.progress import Part

COARSEST = 0.05
ADAM_SLOWER = 5.0  # Adam's steps are about as long as its learning rate, whatever the gradient

Loss = Callable[[], Tensor]


def loss_drop(seed: int, quick: bool) -> Part:
    """Runs gradient descent and Adam over the same stretch with ever smaller steps, full batch, on a small network."""
    time = 2.0 if quick else 4.0  # learning rate times steps of every run
    rates = [COARSEST / 2**k for k in range(4 if quick else 7)]
    flow, start, end = _flow(seed, time)
    sums, parameters, adam = [], [], []
    for place, rate in enumerate(rates):
        model, loss = problem(seed)
        w, drop = _run(model, loss, torch.optim.SGD(model.parameters(), lr=rate), round(time / rate))
        sums.append(abs(w.sum() - drop) / drop)
        parameters.append(float(np.abs(w - flow).max() / (start - end)))
        model, loss = problem(seed)
        w, drop = _run(model, loss, _adam(model, rate), round(time / rate))
        adam.append(abs(w.sum() - drop) / drop)
        yield (2.0 ** (place + 1)) / 2.0 ** len(rates)
    rows = {"gradient descent": sums, "Adam": adam, "each parameter against the flow": parameters}
    few = 0.1 if quick else 0.02
    checks = [_first_order(seed)]
    for errors, text in zip(rows.values(), MEASURED, strict=True):
        slope, spread = order(rates[-4:], errors[-4:])
        title = f"{text}: power of the step (fit ± {spread:.4f}; smallest error {errors[-1]:.1e})"
        said = "the integral of the gradient along the path splits over the parameters"
        checks.append(check(title, "2, 3", slope, 1.0, abs(slope - 1), few, statement=said))
    return {"checks": checks, "rates": rates, "errors": rows, "parameters": len(flow)}


MEASURED = (
    "Σw of gradient descent against the loss drop",
    "Σw of Adam against the loss drop",
    "each w against gradient flow integrated by DOP853",
)


def problem(seed: int) -> tuple[nn.Module, Loss]:
    """A tanh network 3-5-1 and its squared error on 20 samples; far from quadratic."""
    draw = Draw(("paper", "theory", "loss drop", seed))
    model = nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 1)).double()
    generator = draw.of("weights").generator()
    for p in model.parameters():
        nn.init.normal_(p, std=0.5, generator=generator)
    x = torch.randn(20, 3, generator=draw.of("inputs").generator(), dtype=torch.float64)
    y = torch.sin(2 * x[:, :1]) + x[:, 1:2] * x[:, 2:]

    def loss() -> Tensor:
        error: Tensor = (model(x) - y).square().mean()
        return error

    return model, loss


def _adam(model: nn.Module, rate: float) -> torch.optim.Optimizer:
    """Adam whose running means always span the same stretch of the way: else every step size is another optimizer."""
    finer = rate / COARSEST
    return torch.optim.Adam(model.parameters(), lr=rate / ADAM_SLOWER, betas=(0.9**finer, 0.999**finer))


def _run(model: nn.Module, loss: Loss, optimizer: torch.optim.Optimizer, steps: int) -> tuple[Array, float]:
    """w of all parameters in one row, and the drop of the loss."""
    si = SynapticIntelligence()
    losses = list(descend(si, model, optimizer, loss, steps))
    w = path(si)
    row = torch.cat([w[name].flatten() for name, _ in model.named_parameters()])
    return row.numpy(), losses[0] - float(loss().detach())


def _flow(seed: int, time: float) -> tuple[Array, float, float]:
    """w of every parameter under gradient flow, theta' = -g and w' = g^2, and the loss at both ends."""
    model, loss = problem(seed)
    parameters = list(model.parameters())
    count = sum(p.numel() for p in parameters)

    def rates(_: float, state: Array) -> Array:
        g = _gradient(parameters, loss, state[:count])
        return np.concatenate([-g, g**2])

    start = np.concatenate([_place(parameters), np.zeros(count)])
    first = float(loss().detach())
    end = solve_ivp(rates, (0.0, time), start, method="DOP853", rtol=1e-10, atol=1e-12).y[:, -1]
    _gradient(parameters, loss, end[:count])
    return end[count:], first, float(loss().detach())


def _first_order(seed: int) -> dict[str, Any]:
    """Eq. 1: what is left after the first-order term falls with the square of a small step in a random direction."""
    model, loss = problem(seed)
    parameters = list(model.parameters())
    at = _place(parameters)
    direction = torch.randn(
        len(at), generator=Draw(("paper", "theory", "direction", seed)).generator(), dtype=torch.float64
    ).numpy()
    g, before = _gradient(parameters, loss, at), float(loss().detach())
    sizes, left = [2e-3 / 2**k for k in range(6)], []
    for size in sizes:
        _gradient(parameters, loss, at + size * direction)
        left.append(abs(float(loss().detach()) - before - size * float(g @ direction)))
    slope, spread = order(sizes, left)
    title = f"change of the loss less Σ g δ: power of the step (fit ± {spread:.4f})"
    said = "a small step changes the loss by about Σ g δ"
    return check(title, "1", slope, 2.0, abs(slope - 2), 0.05, statement=said)


def _place(parameters: list[nn.Parameter]) -> Array:
    row: Array = torch.cat([p.detach().flatten() for p in parameters]).numpy()
    return row


def _gradient(parameters: list[nn.Parameter], loss: Loss, at: Array) -> Array:
    """Puts the parameters at a place and returns the gradient there."""
    torch.nn.utils.vector_to_parameters(torch.tensor(at), parameters)
    row: Array = torch.cat([g.flatten() for g in torch.autograd.grad(loss(), parameters)]).numpy()
    return row
