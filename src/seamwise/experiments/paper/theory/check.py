"""One statement held against numbers, and the order at which an error vanishes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import stats

Check = dict[str, Any]  # JSON values


def check(
    name: str,
    equation: str,
    ours: float,
    expected: float,
    error: float,
    tolerance: float,
    *,
    statement: str = "",
    differs: str = "",
) -> Check:
    """A measured figure beside the expected one; passed where the error is within the tolerance.

    statement: what the paper says; empty for what it does not speak of. differs: how the paper's print departs from
    what was found; empty where it agrees.
    """
    return {
        "name": name,
        "equation": equation,
        "statement": statement,
        "ours": float(ours),
        "expected": float(expected),
        "error": float(error),
        "tolerance": float(tolerance),
        "passed": bool(error <= tolerance),
        "differs": differs,
    }


def verdict(row: Check) -> str:
    """What a row of the table ends with."""
    if not row["passed"]:
        return "**not met**"
    return row["differs"] or ("agrees" if row["statement"] else "holds")


def order(steps: Sequence[float], errors: Sequence[float]) -> tuple[float, float]:
    """The power of the step size with which an error vanishes, and the standard error of the fit."""
    fit = stats.linregress(np.log(steps), np.log(errors))
    return float(fit.slope), float(fit.stderr)
