"""Eq. 6 to 14: what the path integral says about the curvature, in closed form against integration."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import numpy as np
from scipy.linalg import expm

from seamwise.continual import Draw
from seamwise.experiments.paper.theory.check import Check, check
from seamwise.experiments.paper.theory.descent import Array, normal, uniform
from seamwise.experiments.paper.theory.progress import Part
from seamwise.experiments.paper.theory.quadratic import contract, integrate, long_time, path_matrix, random_hessian

SIZE = 4
SPREAD = 0.7  # s, the standard deviation of the starts in Eq. 12
EXACT = 1e-9  # relative; the integration asks for 1e-11 a step


def curvature(seed: int, quick: bool) -> Part:
    """Draws quadratic losses at random and holds Eq. 11 to 14 against the flow of Eq. 7, integrated."""
    draw = Draw(("paper", "theory", "curvature", seed))
    problems = 3 if quick else 20
    checks = []
    checks += yield from _general(draw.of("general"), problems, 0.0)
    diagonal, points = yield from _diagonal(draw.of("diagonal"), problems, 0.4)
    checks += diagonal
    checks += yield from _rank_one(draw.of("rank one"), problems, 0.6)
    averaged, average = _average(draw.of("average"), 20_000 if quick else 400_000)
    yield 1.0
    return {"checks": [*checks, averaged], "diagonal": points, "average": average, "problems": problems}


def _general(draw: Draw, problems: int, done: float) -> Generator[float, None, list[Check]]:
    """Eq. 8, 11, the trace and the finite time, for matrices without any structure."""
    solution, closed, trace, stopped = [], [], [], []
    for number in range(problems):
        own = draw.of(number)
        hessian, away = random_hessian(own, SIZE), normal(own.of("away"), SIZE)
        tau = float(0.2 * 50 ** uniform(own.of("tau"), 1)[0])
        _, tensor = integrate(hessian, tau, long_time(hessian))
        q = contract(tensor, away)
        closed.append(_apart(path_matrix(hessian, away), q))
        drop = 0.5 * away @ hessian @ away
        trace.append(abs(np.trace(q) - drop) / drop)
        time = float(uniform(own.of("time"), 1)[0])
        propagator, tensor = integrate(hessian, tau, time)
        solution.append(_apart(propagator, expm(-hessian * time)))
        stopped.append(_apart(path_matrix(hessian, away, time), contract(tensor, away)))
        yield done + 0.4 * (number + 1) / problems
    few = f"{problems} random H ({SIZE} x {SIZE}), d and τ; largest relative error"
    return [
        _relative(f"θ(t) = θ* + exp(-H t / τ) d: {few}", "8", max(solution), "θ(t) = θ* + exp(-H t / τ) d"),
        _relative(
            f"Q in closed form against the integral of Eq. 10: {few}",
            "11",
            max(closed),
            "Q_ij = Σ u_iᵃ dᵃ λa λb / (λa + λb) dᵇ u_jᵇ",
        ),
        _relative(
            "Σ Q_ii against the loss drop dᵀHd / 2: largest relative error", "10", max(trace), "w is the diagonal of Q"
        ),
        _relative(
            "Q stopped at t < τ, each term times 1 - exp(-(λa + λb) t / τ): largest relative error",
            "11, finite t",
            max(stopped),
            "",
        ),
    ]


def _diagonal(
    draw: Draw, problems: int, done: float
) -> Generator[float, None, tuple[list[Check], list[tuple[float, float]]]]:
    """Eq. 13, which is printed without the 1/2 that Eq. 11 gives; the integral decides."""
    points, across = [], []
    for number in range(problems):
        own = draw.of(number)
        h, away = 0.5 + 3.5 * uniform(own.of("curvature"), SIZE), normal(own.of("away"), SIZE)
        hessian = np.diag(h)
        _, tensor = integrate(hessian, 1.0, long_time(hessian))
        q = contract(tensor, away)
        points += [(float(x), float(y)) for x, y in zip(away**2 * h, np.diag(q), strict=True)]
        products = np.outer(away, away) * np.outer(h, h) / (h[:, None] + h[None, :])
        across.append(_apart(q, products))
        yield done + 0.2 * (number + 1) / problems
    ratios = [y / x for x, y in points]
    far = max(ratios, key=lambda ratio: abs(ratio - 0.5))
    return [
        check(
            f"Q_ii / (d_i² H_ii) for diagonal H, the farthest of {len(ratios)}",
            "13",
            far,
            0.5,
            abs(far - 0.5),
            EXACT,
            statement="Q_ii = d_i² H_ii (printed)",
            differs="the print lacks a factor 1/2 that its own Eq. 11 gives",
        ),
        _relative(
            "diagonal H, beside the diagonal: Q_ij = d_i d_j H_ii H_jj / (H_ii + H_jj), not 0; largest relative error",
            "11, 13",
            max(across),
            "",
        ),
    ], points


def _rank_one(draw: Draw, problems: int, done: float) -> Generator[float, None, list[Check]]:
    """Eq. 14; d is the displacement's component along the only curved direction."""
    errors = []
    for number in range(problems):
        own = draw.of(number)
        u, away = normal(own.of("direction"), SIZE), normal(own.of("away"), SIZE)
        u /= np.linalg.norm(u)
        hessian = float(0.5 + 3.5 * uniform(own.of("curvature"), 1)[0]) * np.outer(u, u)
        _, tensor = integrate(hessian, 1.0, long_time(hessian))
        errors.append(_apart(0.5 * (u @ away) ** 2 * hessian, contract(tensor, away)))
        yield done + 0.2 * (number + 1) / problems
    return [
        _relative(
            "Q = d² H / 2 for H = λ u uᵀ, d = uᵀ(θ(0) - θ*): largest relative error",
            "14",
            max(errors),
            "Q_ij = d² H_ij / 2",
        )
    ]


def _average(draw: Draw, starts: int) -> tuple[Check, dict[str, Any]]:
    """Eq. 12 by Monte Carlo: the mean of Q over isotropic starts, with its standard error, entry by entry."""
    hessian = random_hessian(draw, SIZE)
    _, tensor = integrate(hessian, 1.0, long_time(hessian))
    q = contract(tensor, SPREAD * normal(draw.of("starts"), starts, SIZE))
    mean, error = q.mean(0), q.std(0, ddof=1) / starts**0.5
    expected = SPREAD**2 / 2 * hessian
    z = (mean - expected) / error
    largest = float(np.abs(z).max())
    row = check(
        f"mean Q over {starts:,} starts against s² H / 2: largest z of {SIZE * (SIZE + 1) // 2} entries",
        "12",
        largest,
        0.0,
        largest,
        3.0,
        statement="⟨Q_ij⟩ = s² H_ij / 2",
    )
    matrices = {"mean": mean, "standard_error": error, "expected": expected, "z": z}
    return row, {"starts": starts, "s": SPREAD, **{name: matrix.tolist() for name, matrix in matrices.items()}}


def _relative(name: str, equation: str, error: float, statement: str) -> Check:
    return check(name, equation, error, 0.0, error, EXACT, statement=statement)


def _apart(ours: Array, reference: Array) -> float:
    """Distance of two matrices relative to the second's size (Frobenius)."""
    return float(np.linalg.norm(ours - reference) / np.linalg.norm(reference))
