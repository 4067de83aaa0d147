"""The table beside figures 1 and 2."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from seamwise.experiments.paper.theory.page import fill, summary, table, table_of
from seamwise.experiments.paper.trajectories.landscape import TASK_1, TASK_2, Well

NAMES = {
    "start": "start, θ(t₀)",
    "task 1": "after task 1, θ(t₁)",
    "task 2": "after task 2, no consolidation",
    "task 2 with SI": "after task 2, SI with c = 1",
}


def markdown(result: Mapping[str, Any]) -> str:
    """The made part of the page: checks, both losses at every end point, how it was made."""
    return "\n\n".join([summary(result["checks"]), table_of(result["checks"]), _ends(result), _made(result)]) + "\n"


def _ends(result: Mapping[str, Any]) -> str:
    rows = []
    for key, name in NAMES.items():
        end = result["landscape"]["ends"][key]
        first, second = end["theta"]
        rows.append([name, f"({first:.3f}, {second:.3f})", f"{end['loss 1']:.3f}", f"{end['loss 2']:.3f}"])
    return table(["place", "(θ1, θ2)", "loss of task 1", "loss of task 2"], rows, "lrrr")


def _made(result: Mapping[str, Any]) -> str:
    found, cut = result["landscape"], result["surrogate"]
    omega = ", ".join(f"{value:.4f}" for value in found["importance"])
    return fill(
        f"""How made: the paper's figures are drawings; ours follow `SynapticIntelligence` (c = 1, ξ → 0) in double
        precision{", quick form" if result["quick"] else ""}, plain gradient descent with step {found["rate"]:g}
        (figure 1) and {cut["rate"]:g} (figure 2). Losses of figure 1: log(1 + q), q = {_form(TASK_1)} for task 1 and
        q = {_form(TASK_2)} for task 2, a along the valley and b across it; Ω after task 1: ({omega}).
        Figure 2: log(1 + 1.5 x²) + 0.1 (1 - cos 4x), x = θ - 0.7. Tolerances: figures that differ by the finite step
        only, a few times the step; places of rest, what is left of the way when training stops; "small" means below
        a tenth of the loss at the start."""
    )


def _form(well: Well) -> str:
    return f"{well.along:g} a² + {well.across:g} b² around {well.minimum}, turned by {well.turned:g}°,"
