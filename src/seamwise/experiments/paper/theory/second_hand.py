"""Two formulas in circulation, evaluated beside the paper's: w = ∫ theta^T Q dtheta and Q = ∫ exp(-H tau t) dt."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from scipy.integrate import quad_vec

from seamwise.continual import Draw
from seamwise.experiments.paper.theory.check import check
from seamwise.experiments.paper.theory.descent import Array, normal
from seamwise.experiments.paper.theory.progress import Part
from seamwise.experiments.paper.theory.quadratic import contract, integrate, long_time, path_matrix, random_hessian

SIZE = 3
LEFT = 40.0  # integrals end where exp(-LEFT) is left
EXACT = 1e-6


@dataclass(frozen=True)
class Case:
    """A quadratic loss with its minimum, a start and a time constant."""

    hessian: Array
    minimum: Array
    away: Array
    tau: float = 1.0


def right(case: Case) -> Array:
    """w as the paper has it: the diagonal of Q, integrated (Eq. 10)."""
    _, tensor = integrate(case.hessian, case.tau, long_time(case.hessian))
    return np.diag(contract(tensor, case.away))


def theta_q(case: Case) -> Array:
    """The integral of theta_i (Q dtheta)_i along the flow; its sum over i is the second-hand w."""
    q = path_matrix(case.hessian, case.away)
    lam, u = np.linalg.eigh(case.hessian)
    d = u.T @ case.away

    def rate(t: float) -> Array:
        away = u @ (np.exp(-lam * t / case.tau) * d)
        moved: Array = (case.minimum + away) * (q @ (-case.hessian @ away / case.tau))
        return moved

    return _integral(rate, LEFT * case.tau / lam[0])


def inverse(case: Case) -> Array:
    """The diagonal of the integral of exp(-H tau t): H^-1 / tau, whatever the start."""
    lam, u = np.linalg.eigh(case.hessian)
    return _integral(lambda t: u**2 @ np.exp(-lam * case.tau * t), LEFT / (case.tau * lam[0]))


def _integral(rate: Callable[[float], Array], end: float) -> Array:
    value: Array = quad_vec(rate, 0.0, end, epsrel=1e-9, epsabs=1e-12)[0]
    return value


FORMULAS = {
    "the paper: w = diag Q (Eq. 10, 11)": right,
    "w = ∫ θᵀ Q dθ": theta_q,
    "Q = ∫ exp(-H τ t) dt": inverse,
}
# What each formula's Σw is multiplied by is 2 to this power when H, d or tau is doubled.
POWERS = {"H": (1, 1, -1), "d": (2, 4, 0), "tau": (0, 0, -1)}


def second_hand(seed: int) -> Part:
    """Doubles the curvature, the way and the time constant in turn, moves the origin, and looks at all three."""
    draw = Draw(("paper", "theory", "second hand", seed))
    case = Case(random_hessian(draw, SIZE), np.zeros(SIZE), normal(draw.of("away"), SIZE))
    doubled = {
        "H": replace(case, hessian=2 * case.hessian),
        "d": replace(case, away=2 * case.away),
        "tau": replace(case, tau=2.0),
    }
    moved = replace(case, minimum=np.full(SIZE, 1.0))
    drop = 0.5 * float(case.away @ case.hessian @ case.away)
    table, wrong = [], 0.0
    for place, (name, formula) in enumerate(FORMULAS.items()):
        total = float(formula(case).sum())
        powers = {key: float(np.log2(formula(other).sum() / total)) for key, other in doubled.items()}
        wrong = max(wrong, *(abs(powers[key] - POWERS[key][place]) for key in POWERS))
        shifted = float(formula(moved).sum()) / total
        table.append({"formula": name, "sum": total, "drop": drop, **powers, "origin": shifted})
        yield (place + 1) / 3
    q = path_matrix(case.hessian, case.away)
    start, end = moved.minimum + moved.away, moved.minimum
    by_parts = 0.5 * float(end @ q @ end - start @ q @ start)
    half = replace(case, tau=0.5)
    expected = np.diag(np.linalg.inv(half.hessian)) / half.tau
    error_q = float(np.abs(inverse(half) / expected - 1).max())
    error_w = abs(float(theta_q(moved).sum()) / by_parts - 1)
    checks = [
        check(
            "second-hand Q = ∫ exp(-H τ t) dt is H⁻¹ / τ: largest relative error",
            "10, 11",
            error_q,
            0.0,
            error_q,
            EXACT,
            statement="Q grows with H",
            differs="the second-hand formula shrinks with H, knows nothing of the way, depends on τ",
        ),
        check(
            "second-hand Σw = ∫ θᵀ Q dθ is θᵀ Q θ / 2 between the ends: relative error",
            "3, 10",
            error_w,
            0.0,
            error_w,
            EXACT,
            statement="Σw is the loss drop",
            differs="the second-hand formula depends on where the origin lies and grows with d⁴",
        ),
        check(
            "powers of H, d and τ in Σw of all three formulas: largest error",
            "10, 11",
            wrong,
            0.0,
            wrong,
            EXACT,
            statement="Σw goes with H d², without τ",
        ),
    ]
    return {"checks": checks, "formulas": table}
