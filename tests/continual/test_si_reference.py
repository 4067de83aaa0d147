"""Synaptic Intelligence against a transcription of the authors' update table in plain numpy.

The twin below shares no code with the package: forward and backward pass, optimizers and the table itself are written
out by hand in float64.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from seamwise.continual import Learner, Step, SynapticIntelligence, Training, clip_gradients
from seamwise.continual.optimizers import build_optimizer
from tests.continual.problems import CLASS_SETS, class_stream, heads, learn, mlp

Floats = NDArray[np.float64]
Weights = dict[str, Floats]
NAMES = ("0.weight", "0.bias", "2.weight", "2.bias")
LR = {"adam": 0.5, "sgd": 0.02}  # Adam so fast that some parameters end up having raised the loss


def task_gradient(theta: Weights, x: Floats, y: NDArray[np.int64], classes: tuple[int, ...]) -> Weights:
    """Gradient of the mean masked cross-entropy of the network linear - ReLU - linear."""
    n = len(x)
    before = x @ theta["0.weight"].T + theta["0.bias"]
    hidden = np.maximum(before, 0)
    logits = hidden @ theta["2.weight"].T + theta["2.bias"]
    p = np.zeros_like(logits)
    own = list(classes)
    shifted = np.exp(logits[:, own] - logits[:, own].max(1, keepdims=True))
    p[:, own] = shifted / shifted.sum(1, keepdims=True)
    at_logits = p
    at_logits[np.arange(n), y] -= 1
    at_logits /= n
    at_before = (at_logits @ theta["2.weight"]) * (before > 0)
    return {
        "0.weight": at_before.T @ x,
        "0.bias": at_before.sum(0),
        "2.weight": at_logits.T @ hidden,
        "2.bias": at_logits.sum(0),
    }


class HandAdam:
    """Kingma and Ba 2015, algorithm 1."""

    def __init__(self) -> None:
        self.t = 0
        self.m: Weights = {}
        self.v: Weights = {}

    def step(self, theta: Weights, g: Weights, lr: float) -> None:
        self.t += 1
        for k in theta:
            self.m[k] = 0.9 * self.m.get(k, 0.0) + 0.1 * g[k]
            self.v[k] = 0.999 * self.v.get(k, 0.0) + 0.001 * g[k] ** 2
            m_hat = self.m[k] / (1 - 0.9**self.t)
            v_hat = self.v[k] / (1 - 0.999**self.t)
            theta[k] = theta[k] - lr * m_hat / (np.sqrt(v_hat) + 1e-8)


class HandSGD:
    """Gradient descent with momentum .9."""

    def __init__(self) -> None:
        self.u: Weights = {}

    def step(self, theta: Weights, g: Weights, lr: float) -> None:
        for k in theta:
            self.u[k] = 0.9 * self.u.get(k, 0.0) + g[k]
            theta[k] = theta[k] - lr * self.u[k]


@dataclass
class AuthorsTable:
    """The authors' update table: what happens at every step and at every task's end."""

    theta: Weights
    c: float
    xi: float
    clamp: Literal["accumulated", "experience", "none"] = "accumulated"
    first_reference: Literal["start", "zero"] = "start"
    pull: Literal["explicit", "proximal"] = "explicit"
    max_norm: float | None = None
    w: Weights = field(init=False)
    omega: Weights = field(init=False)
    reference: Weights = field(init=False)
    negative_shares: int = 0

    def __post_init__(self) -> None:
        self.theta = {k: v.copy() for k, v in self.theta.items()}
        self.w = {k: np.zeros_like(v) for k, v in self.theta.items()}
        self.omega = {k: np.zeros_like(v) for k, v in self.theta.items()}
        self.reference = {k: v * (self.first_reference == "start") for k, v in self.theta.items()}

    def step(self, optimizer: HandAdam | HandSGD, g: Weights, lr: float) -> None:
        old = {k: v.copy() for k, v in self.theta.items()}
        total = dict(g)
        if self.pull == "explicit":
            for k in total:
                total[k] = g[k] + 2 * self.c * self.omega[k] * (self.theta[k] - self.reference[k])
        if self.max_norm is not None:
            norm = np.sqrt(sum((v**2).sum() for v in total.values()))
            total = {k: v * min(1.0, self.max_norm / (norm + 1e-6)) for k, v in total.items()}
        optimizer.step(self.theta, total, lr)
        if self.pull == "proximal":  # argmin over u of |u - theta|^2 / (2 lr) + c Omega (u - reference)^2
            for k in self.theta:
                a = 2 * lr * self.c * self.omega[k]
                self.theta[k] = (self.theta[k] + a * self.reference[k]) / (1 + a)
        for k in g:
            self.w[k] -= g[k] * (self.theta[k] - old[k])

    def end_task(self) -> None:
        for k in self.theta:
            share = self.w[k] / ((self.theta[k] - self.reference[k]) ** 2 + self.xi)
            self.negative_shares += int((share < -1e-6 * np.abs(share).max()).sum())
            if self.clamp == "experience":
                share = np.maximum(share, 0)
            self.omega[k] = self.omega[k] + share
            if self.clamp == "accumulated":
                self.omega[k] = np.maximum(self.omega[k], 0)
            self.reference[k] = self.theta[k].copy()
            self.w[k] = np.zeros_like(self.w[k])


def numpy_of(model: torch.nn.Module) -> Weights:
    return {k: v.detach().numpy().copy() for k, v in model.named_parameters()}


def assert_close(ours: Tensor, theirs: Floats, what: str) -> None:
    difference = np.abs(ours.detach().numpy() - theirs).max()
    assert difference <= 1e-6 * np.abs(theirs).max(), f"{what}: off by {difference}, largest {np.abs(theirs).max()}"


def assert_same_state(si: SynapticIntelligence, model: torch.nn.Module, table: AuthorsTable) -> None:
    state = si.state_dict()
    weights = dict(model.named_parameters())
    for k in NAMES:
        assert_close(weights[k], table.theta[k], f"weights of {k}")
        assert_close(state[f"reference.{k}"], table.reference[k], f"reference of {k}")
        assert_close(state[f"importance.{k}"], table.omega[k], f"importance of {k}")
        assert_close(state[f"path.{k}"], table.w[k], f"path of {k}")


OPTIMIZERS: dict[str, Callable[[], HandAdam | HandSGD]] = {"adam": HandAdam, "sgd": HandSGD}
VARIANTS = [
    {},
    {"first_reference": "zero"},
    {"clamp": "experience"},
    {"clamp": "none"},
    {"pull": "proximal"},
]


def replay_log(
    table: AuthorsTable, log: list[tuple[int, Tensor]], optimizer: str, xs: list[Floats], ys: list[NDArray[np.int64]]
) -> None:
    """The twin learns from the very batches that the learner drew; a fresh optimizer for each task."""
    task, hand = 0, OPTIMIZERS[optimizer]()
    for t, rows in log:
        if t != task:
            table.end_task()
            task, hand = t, OPTIMIZERS[optimizer]()
        take = rows.numpy()
        table.step(hand, task_gradient(table.theta, xs[t][take], ys[t][take], CLASS_SETS[t]), LR[optimizer])
    table.end_task()


def learned(
    options: dict[str, str], optimizer: str, fused: bool
) -> tuple[SynapticIntelligence, torch.nn.Module, AuthorsTable]:
    """Three tasks learned by the learner and by the twin."""
    log: list[tuple[int, Tensor]] = []
    stream = class_stream(dtype=torch.float64, log=log, noise=2.5)
    model = mlp(dtype=torch.float64)
    table = AuthorsTable(numpy_of(model), c=0.5, xi=0.02, **options)
    si = SynapticIntelligence(c=0.5, xi=0.02, **options)
    settings = Training(batch_size=4, epochs=4, optimizer=optimizer, lr=LR[optimizer], fused=fused)
    learn(Learner(model, si, heads(), settings), stream)
    xs = [e.train.x.numpy() for e in stream]
    ys = [e.train.y.numpy() for e in stream]
    replay_log(table, log, optimizer, xs, ys)
    return si, model, table


@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
@pytest.mark.parametrize("options", VARIANTS, ids=lambda options: "-".join(options.values()) or "authors")
def test_learner_agrees_with_the_table(optimizer: str, fused: bool, options: dict[str, str]) -> None:
    si, model, table = learned(options, optimizer, fused)
    assert_same_state(si, model, table)


def test_the_three_cuts_differ_here() -> None:
    """Else the comparison above could not tell them apart."""
    cuts = [learned({"clamp": clamp}, "adam", True) for clamp in ("accumulated", "experience", "none")]
    assert min(table.negative_shares for _, _, table in cuts) > 0
    first, second, third = (torch.cat([omega.flatten() for omega in si.bound["importance"]]) for si, _, _ in cuts)
    for one, other in ((first, second), (first, third), (second, third)):
        assert float((one - other).abs().max()) > 1e-2 * float(one.abs().max())


@pytest.mark.parametrize("observe", [True, False])
@pytest.mark.parametrize("max_norm", [None, 0.3])
@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_own_loop_agrees_with_the_table_at_every_step(optimizer: str, max_norm: float | None, observe: bool) -> None:
    stream = class_stream(samples=32, dtype=torch.float64)
    model = mlp(dtype=torch.float64)
    table = AuthorsTable(numpy_of(model), c=0.5, xi=0.02, max_norm=max_norm)
    si = SynapticIntelligence(c=0.5, xi=0.02)
    for task, classes in CLASS_SETS.items():
        x, y = stream[task].train.x, stream[task].train.y
        hand, own = OPTIMIZERS[optimizer](), build_optimizer(optimizer, model.parameters(), LR[optimizer])
        si.begin(model)
        for _ in range(15):
            own.zero_grad()
            F.cross_entropy(model(x)[:, list(classes)], y - classes[0]).backward()
            if observe:
                si.observe(Step(model))
            si.adjust(Step(model))
            if max_norm is not None:
                clip_gradients(list(model.parameters()), max_norm)
            own.step()
            si.after_step(Step(model))
            table.step(hand, task_gradient(table.theta, x.numpy(), y.numpy(), classes), LR[optimizer])
            assert_same_state(si, model, table)
        si.consolidate(model)
        table.end_task()
        assert_same_state(si, model, table)


def test_the_twin_differentiates_rightly() -> None:
    """The twin's own gradient against finite differences of the loss."""
    rng = np.random.default_rng(0)
    theta = numpy_of(mlp(dtype=torch.float64))
    x, y = rng.normal(size=(5, 6)), np.array([2, 3, 3, 2, 2])

    def loss(weights: Weights) -> float:
        hidden = np.maximum(x @ weights["0.weight"].T + weights["0.bias"], 0)
        logits = (hidden @ weights["2.weight"].T + weights["2.bias"])[:, 2:4]
        return float(np.mean(np.log(np.exp(logits).sum(1)) - logits[np.arange(5), y - 2]))

    gradient = task_gradient(theta, x, y, (2, 3))
    for k, value in theta.items():
        for place in np.ndindex(value.shape):
            up = {name: v.copy() for name, v in theta.items()}
            down = {name: v.copy() for name, v in theta.items()}
            up[k][place] += 1e-6
            down[k][place] -= 1e-6
            assert (loss(up) - loss(down)) / 2e-6 == pytest.approx(gradient[k][place], abs=1e-8)
