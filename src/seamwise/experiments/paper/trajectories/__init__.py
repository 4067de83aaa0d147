"""The paper's figures 1 and 2, drawn there by hand, computed: ways through two losses, and the surrogate loss."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from seamwise.experiments.paper.theory.progress import run
from seamwise.experiments.paper.trajectories.landscape import landscape
from seamwise.experiments.paper.trajectories.page import markdown
from seamwise.experiments.paper.trajectories.panels import picture
from seamwise.experiments.paper.trajectories.surrogate import surrogate

__all__ = ["compute", "markdown", "picture"]


def compute(seed: int = 0, quick: bool = False) -> Iterator[tuple[float, str] | dict[str, Any]]:
    """Yields (share done, what is being done) and at last the result, JSON values only.

    seed: kept in the result; nothing is drawn at random. quick: coarser steps.
    """
    parts = {
        "landscape": (0.85, "ways through two losses", landscape(quick)),
        "surrogate": (0.15, "surrogate loss", surrogate(quick)),
    }
    return run(parts, seed, quick)
