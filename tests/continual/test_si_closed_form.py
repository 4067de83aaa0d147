"""Synaptic Intelligence on losses simple enough to know the answer: closed forms by hand and the paper's section 3."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn

from seamwise.continual import Step, SynapticIntelligence
from tests.continual.problems import Point


def descend(
    si: SynapticIntelligence, model: Point, hessian: Tensor, minimum: Tensor, lr: float, steps: int
) -> tuple[float, float]:
    """Gradient descent on 1/2 (theta - minimum)^T H (theta - minimum); returns the loss before and after."""
    optimizer = torch.optim.SGD(model.parameters(), lr=lr)

    def loss() -> Tensor:
        away = model.theta - minimum
        return 0.5 * away @ hessian @ away

    first = float(loss().detach())
    for _ in range(steps):
        optimizer.zero_grad()
        loss().backward()
        si.observe(Step(model))
        si.adjust(Step(model))
        optimizer.step()
        si.after_step(Step(model))
    return first, float(loss().detach())


def one(value: float) -> Tensor:
    return torch.tensor([value], dtype=torch.float64)


def test_path_and_importance_of_one_parameter_by_hand() -> None:
    h, lr, steps, xi = 2.0, 0.1, 7, 0.3
    model, si = Point([3.0]), SynapticIntelligence(c=1.0, xi=xi)
    descend(si, model, one(h).view(1, 1), one(1.0), lr, steps)
    q, e0 = 1 - lr * h, 2.0  # the distance to the minimum shrinks by q at every step
    w = sum(lr * (h * e0 * q**t) ** 2 for t in range(steps))
    assert si.state_dict()["path.theta"].item() == pytest.approx(w, rel=1e-12)
    si.consolidate(model)
    displacement = e0 * q**steps - e0
    assert si.state_dict()["importance.theta"].item() == pytest.approx(w / (displacement**2 + xi), rel=1e-12)
    assert si.state_dict()["reference.theta"].item() == pytest.approx(1 + e0 * q**steps, rel=1e-12)
    assert si.state_dict()["path.theta"].item() == 0.0


def test_gradient_flow_gives_half_the_curvature() -> None:
    """Eq. 13 is printed without the 1/2 that Eq. 11 gives (a = b: la/2). The derivation is right: Omega is H/2, so
    that with c = 1 the pull 2 c Omega (theta - theta~) is exactly the gradient of the earlier task's loss."""
    h = 1.7
    model, si = Point([0.0]), SynapticIntelligence(c=1.0, xi=1e-12)
    descend(si, model, one(h).view(1, 1), one(4.0), lr=5e-3, steps=1500)
    si.consolidate(model)
    assert si.state_dict()["importance.theta"].item() == pytest.approx(h / 2, rel=1e-2)


def test_two_tasks_settle_between_their_minima() -> None:
    """The fixed point of h2 (theta - b) + 2 c Omega (theta - theta~) = 0."""
    c, h2, b = 0.8, 3.0, -2.0
    model, si = Point([0.0]), SynapticIntelligence(c=c, xi=0.1)
    descend(si, model, one(2.0).view(1, 1), one(1.0), lr=0.05, steps=200)
    si.consolidate(model)
    omega, reference = (si.state_dict()[f"{kind}.theta"].item() for kind in ("importance", "reference"))
    si.begin(model)
    descend(si, model, one(h2).view(1, 1), one(b), lr=0.05, steps=400)
    assert model.theta.item() == pytest.approx((h2 * b + 2 * c * omega * reference) / (h2 + 2 * c * omega), rel=1e-9)


def flow(hessian: Tensor, distance: Tensor, lr: float = 4e-3, steps: int = 2000) -> Tensor:
    """w after (nearly) gradient flow from `distance` away into the minimum."""
    model, si = Point(distance.tolist()), SynapticIntelligence()
    descend(si, model, hessian, torch.zeros_like(distance), lr, steps)
    path: Tensor = si.state_dict()["path.theta"]
    return path


HESSIAN = torch.tensor([[2.0, 0.6, -0.3], [0.6, 1.0, 0.2], [-0.3, 0.2, 1.5]], dtype=torch.float64)


def test_path_of_a_coupled_quadratic_is_the_diagonal_of_eq_11() -> None:
    distance = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)
    lam, u = torch.linalg.eigh(HESSIAN)
    d = u.T @ distance
    ratio = lam[:, None] * lam[None, :] / (lam[:, None] + lam[None, :])
    expected = torch.einsum("ia,a,ab,b,ib->i", u, d, ratio, d, u)
    torch.testing.assert_close(flow(HESSIAN, distance), expected, rtol=1e-2, atol=0)


def test_path_averaged_over_starts_is_half_the_curvature() -> None:
    """Eq. 12: <Q> = s^2/2 H. Starts along the axes, s sqrt(n) away, have exactly the covariance s^2."""
    s, n = 0.7, 3
    paths = [flow(HESSIAN, s * n**0.5 * axis) for axis in torch.eye(n, dtype=torch.float64)]
    torch.testing.assert_close(torch.stack(paths).mean(0), s**2 / 2 * HESSIAN.diagonal(), rtol=1e-2, atol=0)


def test_path_of_a_rank_one_quadratic() -> None:
    """Eq. 14: Q_ij = 1/2 d^2 H_ij, d the distance along the only curved direction."""
    u = torch.tensor([0.6, 0.0, 0.8], dtype=torch.float64)
    hessian = 1.3 * torch.outer(u, u)
    distance = torch.tensor([1.0, 5.0, -2.0], dtype=torch.float64)
    d = (u @ distance).item()
    torch.testing.assert_close(flow(hessian, distance), 0.5 * d**2 * hessian.diagonal(), rtol=1e-2, atol=1e-12)


def path_error(lr: float, steps: int) -> float:
    """How far the summed path is from the drop of the loss of a small network, full batch."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 1)).double()
    x = torch.randn(20, 3, dtype=torch.float64)
    y = x.prod(1, keepdim=True)
    si, optimizer = SynapticIntelligence(), torch.optim.SGD(model.parameters(), lr=lr)
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = (model(x) - y).square().mean()
        losses.append(loss.item())
        loss.backward()
        si.adjust(Step(model))
        optimizer.step()
        si.after_step(Step(model))
    drop = losses[0] - (model(x) - y).square().mean().item()
    total = sum(value.sum().item() for name, value in si.state_dict().items() if name.startswith("path."))
    return abs(total - drop) / drop


def test_paths_sum_to_the_loss_drop_as_the_steps_shrink() -> None:
    errors = [path_error(0.2 / n, 40 * n) for n in (1, 2, 4, 8)]
    assert errors[-1] < 0.02
    for wide, narrow in pairwise(errors):
        assert 1.7 < wide / narrow < 2.3  # first order in the learning rate
