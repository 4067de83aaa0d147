"""The strengths of the three scenarios, each chosen on training pictures that are kept apart."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from seamwise.experiments.paper.figure import Figure, Line
from seamwise.experiments.paper.scenarios import MEMORY, SCENARIOS, SETTING

GRIDS: dict[str, list[dict[str, Any]]] = {
    "ewc-per-task": [{"strength": s, "samples": 1024} for s in (1e2, 1e3, 1e4, 1e5, 1e6)],
    "ewc": [{"strength": s, "samples": 1024} for s in (1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9)],
    "si": [{"c": c} for c in (0.1, 1.0, 10.0, 100.0, 1000.0)],
    "lwf": [{"strength": s} for s in (0.5, 1.0, 2.0, 5.0, 10.0, 20.0)],
    "lfl": [{"strength": s} for s in (1e-3, 1e-2, 1e-1, 1.0, 10.0)],
    "gem": [{"capacity": MEMORY, "samples": None, "margin": m} for m in (0.0, 0.5)],
}


def _varied(chosen: dict[str, Any]) -> str:
    """What a grid goes through, as `c=10`."""
    name = next(name for name in ("strength", "c", "margin") if name in chosen)
    return f"{name}={chosen[name]:g}"


FULL = Figure(
    name="scenarios-search",
    title="Strengths for the three scenarios",
    setting=SETTING.changed({"held_out": 5000}),
    lines=tuple(
        Line(
            f"{scenario}: {strategy} {_varied(chosen)}",
            strategy,
            chosen,
            {"scenario": scenario},
        )
        for scenario in SCENARIOS
        for strategy, grid in GRIDS.items()
        for chosen in grid
    ),
)

QUICK = replace(
    FULL,
    quick=True,
    setting=SETTING.changed({"data": "digits", "hidden": (64, 64), "epochs": 5, "batch_size": 32, "held_out": 300}),
    lines=tuple(line for line in FULL.lines if line.strategy == "si"),
)
