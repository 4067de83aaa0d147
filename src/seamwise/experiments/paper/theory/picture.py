"""Section 3 and 4 in six pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from seamwise.experiments.paper.theory.chart import Series, chart
from seamwise.figures.bars import bars
from seamwise.figures.grid import grid
from seamwise.figures.heatmap import heat_map
from seamwise.figures.markup import Markup


def picture(result: Mapping[str, Any]) -> str:
    """One SVG document of six panels."""
    panels = [
        _drop(result["loss_drop"]),
        _noise(result["noise"]),
        _grown(result["implemented"]),
        _diagonal(result["curvature"]["diagonal"]),
        _average(result["curvature"]["average"]),
        _importance(result["implemented"]),
    ]
    return grid(panels, "The path integral against closed forms", columns=2, gap=18)


def _drop(part: Mapping[str, Any]) -> Markup:
    series = {
        name: Series(list(zip(part["rates"], errors, strict=True)), marks=True)
        for name, errors in part["errors"].items()
    }
    slope = [(rate, 0.1 * rate) for rate in part["rates"]]
    series["first order"] = Series(slope, dashed=True)
    return chart(series, "Eq. 1–3: Σw becomes the loss drop", "step size", "error over loss drop", log=True)


def _noise(part: Mapping[str, Any]) -> Markup:
    measured = list(zip(part["sizes"], part["ratio"], part["spread"], strict=True))
    predicted = list(zip(part["sizes"], part["predicted"], strict=True))
    series = {
        "measured, ± SD": Series(measured, line=False, marks=True),
        "Σ lr (‖g‖² + tr Cov g / batch)": Series(predicted),
    }
    return chart(series, "Minibatch noise overestimates", "batch size", "Σw over loss drop", log=True)


def _grown(part: Mapping[str, Any]) -> Markup:
    count = len(part["flow"][0]) - 1
    series = {}
    for place in range(1, count + 1):
        flow = [(row[0], row[place]) for row in part["flow"]]
        series[f"w{place}"] = Series(flow, dots=[(row[0], row[place]) for row in part["grown"]])
    title = "Eq. 11 in time (lines), implementation (marks)"
    return chart(series, title, "time, units of τ", "w")


def _diagonal(points: Sequence[Sequence[float]]) -> Markup:
    top = max(x for x, _ in points)
    series = {
        "integrated": Series([(x, y) for x, y in points], line=False, marks=True),
        "d² H / 2 (Eq. 11)": Series([(0.0, 0.0), (top, top / 2)]),
        "d² H (Eq. 13 as printed)": Series([(0.0, 0.0), (top, top)], dashed=True),
    }
    return chart(series, "Eq. 13: diagonal Hessian", "d² H", "Q on the diagonal")


def _average(part: Mapping[str, Any]) -> Markup:
    names = [str(place + 1) for place in range(len(part["mean"]))]
    values = [value for row in part["expected"] for value in row]
    maps = [
        heat_map(part[key], names, names, title, min(values), max(values), ".3f", key=False)
        for key, title in (("mean", "Eq. 12: mean of Q"), ("expected", "s² H / 2"))
    ]
    return grid(maps, columns=2)


def _importance(part: Mapping[str, Any]) -> Markup:
    count = len(part["omega"])
    return bars(
        [f"parameter {place + 1}" for place in range(count)],
        {"Ω as implemented": part["omega"], "H / 2": part["half_curvature"]},
        "Eq. 5: Ω is half the curvature",
        "",
        value_format=".3f",
        width=520,
        height=340,
    )
