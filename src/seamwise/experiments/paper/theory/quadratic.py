"""Gradient flow on a quadratic loss, in closed form and by integration (section 4 of the paper).

paper       here           meaning
H           hessian        curvature of E = 1/2 (theta - theta*)^T H (theta - theta*)  (Eq. 6)
tau         tau            time constant: tau dtheta/dt = -dE/dtheta  (Eq. 7)
d           away           theta(0) - theta*; d^a its component along the eigenvector u^a
Q           path matrix    tau times the time integral of theta' theta'^T; w is its diagonal  (Eq. 10)
"""

from __future__ import annotations

import math

import numpy as np
from scipy.integrate import solve_ivp

from seamwise.continual import Draw
from seamwise.experiments.paper.theory.descent import Array, normal, uniform


def path_matrix(hessian: Array, away: Array, time: float = math.inf) -> Array:
    """Q in closed form (Eq. 11); stopped after `time`, in units of tau, each term still lacks its exponential."""
    lam, u = np.linalg.eigh(hessian)
    pairs = lam[:, None] + lam[None, :]
    ratio = np.divide(np.outer(lam, lam), pairs, out=np.zeros_like(pairs), where=pairs > 1e-12 * lam.max())
    d = u.T @ away
    grown = 1.0 if math.isinf(time) else -np.expm1(-pairs * time)
    matrix: Array = u @ (np.outer(d, d) * ratio * grown) @ u.T  # Eq. 11
    return matrix


def stepped_path(hessian: Array, away: Array, rate: float, steps: int) -> Array:
    """w of plain gradient descent with a finite learning rate, exactly: the integrals become geometric series."""
    lam, u = np.linalg.eigh(hessian)
    keep = 1 - rate * lam
    shrink = np.outer(keep, keep)  # of a pair of components, in one step
    terms = rate * np.outer(lam, lam) * (1 - shrink**steps) / (1 - shrink)
    d = u.T @ away
    series: Array = np.diag(u @ (np.outer(d, d) * terms) @ u.T)
    return series


def integrate(hessian: Array, tau: float, time: float) -> tuple[Array, Array]:
    """What Eq. 7 gives when it is integrated step by step, without eigenvectors or exponentials.

    Returns the propagator P (n, n), theta(t) - theta* = P d, and T (n, n, n, n), Q_ij = sum_ab T_iajb d_a d_b: the
    flow is linear in d, so that one integration serves every start. time: in units of tau.
    """
    n = len(hessian)

    def rates(_: float, state: Array) -> Array:
        moved = -hessian @ state[: n * n].reshape(n, n) / tau
        return np.concatenate([moved.ravel(), tau * np.outer(moved, moved).ravel()])  # Eq. 7 and 10

    start = np.concatenate([np.eye(n).ravel(), np.zeros(n**4)])
    end = solve_ivp(rates, (0.0, time * tau), start, method="DOP853", rtol=1e-11, atol=1e-13).y[:, -1]
    return end[: n * n].reshape(n, n), end[n * n :].reshape(n, n, n, n)


def contract(tensor: Array, away: Array) -> Array:
    """Q (..., n, n) of the starts `away` (..., n) from the tensor that `integrate` returns."""
    matrices: Array = np.einsum("iajb,...a,...b->...ij", tensor, away, away, optimize=True)
    return matrices


def random_hessian(draw: Draw, size: int, low: float = 0.5, high: float = 4.0) -> Array:
    """Symmetric and positive definite; eigenvalues evenly spread in their logarithm between low and high."""
    turn, _ = np.linalg.qr(normal(draw.of("turn"), size, size))
    lam = low * (high / low) ** uniform(draw.of("curvature"), size)
    hessian: Array = turn @ np.diag(lam) @ turn.T
    return (hessian + hessian.T) / 2


def long_time(hessian: Array) -> float:
    """A time, in units of tau, after which no more than exp(-36) of any moving pair of components is left."""
    lam = np.linalg.eigvalsh(hessian)
    return 18.0 / float(lam[lam > 1e-12 * lam.max()].min())
