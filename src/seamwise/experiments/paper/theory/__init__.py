"""Sections 3 and 4 of the paper held against numbers: every equation, its limits, and two wrong copies of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from seamwise.experiments.paper.theory.curvature import curvature
from seamwise.experiments.paper.theory.importance import implemented
from seamwise.experiments.paper.theory.loss_drop import loss_drop
from seamwise.experiments.paper.theory.noise import noise
from seamwise.experiments.paper.theory.page import markdown
from seamwise.experiments.paper.theory.picture import picture
from seamwise.experiments.paper.theory.progress import Part, run
from seamwise.experiments.paper.theory.second_hand import second_hand

__all__ = ["compute", "markdown", "picture"]


def compute(seed: int = 0, quick: bool = False) -> Iterator[tuple[float, str] | dict[str, Any]]:
    """Yields (share done, what is being done) and at last the result, JSON values only.

    quick: fewer draws and coarser steps, under the same checks with wider tolerances.
    """
    parts: dict[str, tuple[float, str, Part]] = {
        "loss_drop": (0.5, "loss drop against path integral", loss_drop(seed, quick)),
        "noise": (0.3, "minibatch noise", noise(seed, quick)),
        "curvature": (0.05, "quadratic losses, integrated", curvature(seed, quick)),
        "implemented": (0.14, "quadratic losses, as implemented", implemented(seed, quick)),
        "second_hand": (0.01, "formulas in circulation", second_hand(seed)),
    }
    return run(parts, seed, quick)
