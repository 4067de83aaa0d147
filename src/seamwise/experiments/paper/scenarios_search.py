"""The strengths of the three scenarios, each chosen on training pictures that are kept apart."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from seamwise.experiments.paper.figure import Figure, Line
from seamwise.experiments.paper.scenarios import QUICK as SCENARIOS_QUICK
from seamwise.experiments.paper.scenarios import SCENARIOS, SETTING, XI

GRIDS: dict[str, list[dict[str, Any]]] = {
    "ewc-per-task": [{"strength": s, "samples": 1024} for s in (1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7)],
    "ewc": [{"strength": s, "samples": 1024} for s in (1e1, 1e2, 1e3, 1e4, 1e5, 1e6)],
    "si": [{"c": c, "xi": XI} for c in (1.0, 1e1, 1e2, 1e3, 1e4, 1e5)],
    "lwf": [{"strength": s} for s in (0.5, 1.0, 2.0, 5.0, 10.0)],
    "lfl": [{"strength": s} for s in (1e-3, 1e-2, 1e-1, 1.0)],
}


def _varied(chosen: dict[str, Any]) -> str:
    """What a grid goes through, as `c=10`."""
    name = "c" if "c" in chosen else "strength"
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
    setting=SCENARIOS_QUICK.setting.changed({"epochs": 5, "held_out": 300}),
    lines=tuple(line for line in FULL.lines if line.strategy == "si"),
)
