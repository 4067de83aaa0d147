"""Figures 1 and 2 as pictures: both losses as heat maps with the ways through them, and the surrogate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from seamwise.experiments.paper.theory.descent import Array
from seamwise.experiments.paper.trajectories.contours import regions
from seamwise.experiments.paper.trajectories.landscape import TASK_1, TASK_2, Well
from seamwise.figures.grid import grid
from seamwise.figures.markup import Markup, join, tag
from seamwise.figures.palette import css, ramp, series_colour
from seamwise.figures.scale import Scale
from seamwise.figures.svg import GROUND, INK, SMALL, Frame, document, heading, rule, text
from seamwise.figures.typeset import text_width

WIDTH, HEIGHT = 400.0, 440.0
REACH = 2.4  # both parameters are shown from -REACH to REACH
CELLS = 72
LEVELS = (0.05, 0.15, 0.3, 0.5, 0.75, 1.0, 1.3, 1.6, 1.9, 2.2, 2.5, 2.8, 3.1, 3.4)
FRAME = Frame(52.0, 62.0, WIDTH - 10, 62 + WIDTH - 62)  # square

PLAIN, KEPT, SURROGATE, HESSIAN = (series_colour(place) for place in (3, 1, 2, 3))
WAYS = {"task 1": ("task 1", INK), "task 2": ("task 2, plain", PLAIN), "task 2 with SI": ("task 2, SI", KEPT)}
CURVES = {
    "loss": ("loss of task 1", "currentColor", None),
    "surrogate": ("surrogate of SI", SURROGATE, None),
    "hessian": ("Hessian's parabola", HESSIAN, "6 4"),
}


def picture(result: Mapping[str, Any]) -> str:
    """One SVG document of three panels: figure 1 left and right, figure 2."""
    found = result["landscape"]
    panels = [
        _landscape(TASK_1, "Loss of task 1", found, "task 1"),
        _landscape(TASK_2, "Loss of task 2", found, "task 2"),
        _cut(result["surrogate"]),
    ]
    return grid(panels, columns=3, gap=10)


def _landscape(well: Well, title: str, found: Mapping[str, Any], task: str) -> Markup:
    x = Scale(-REACH, REACH, FRAME.left, FRAME.right, 1.0)
    y = Scale(-REACH, REACH, FRAME.bottom, FRAME.top, 1.0)
    parts = [heading(title, WIDTH), FRAME.axes(x, y, "θ₁", "θ₂")]
    parts += [_legend([(name, colour, None) for name, colour in WAYS.values()]), _key(), _heat(well, x, y)]
    for name, way in found["paths"].items():
        parts.append(_way(way, WAYS[name][1], x, y))
    ends = found["ends"]
    places = (("start", "θ(t₀)", INK), ("task 1", "θ(t₁)", INK), ("task 2", "θ(t₂)", PLAIN))
    for name, label, colour in (*places, ("task 2 with SI", "θ(t₂) with SI", KEPT)):
        column, row = (scale(v) for scale, v in zip((x, y), ends[name]["theta"], strict=True))
        parts.append(_spot(column, row, colour))
        below = row > (FRAME.top + FRAME.bottom) / 2
        shown = f"{label}: {ends[name][f'loss {task[-1]}']:.2f}"
        middle = max(column, FRAME.left + 6 + text_width(shown, 12) / 2)
        parts.append(_label(middle, row + (22 if below else -13), shown))
    told = "; ".join(f"{name}: {end[f'loss {task[-1]}']:.3f}" for name, end in ends.items())
    return document(WIDTH, HEIGHT, title, told, *parts)


def _heat(well: Well, x: Scale, y: Scale) -> Markup:
    """Bands of equal loss, the high ones below."""
    side = np.linspace(-REACH, REACH, CELLS + 1)
    places = np.stack(np.meshgrid(side, side), axis=-1)
    values: Array = well(torch.tensor(places)).numpy()
    whole = {"x": FRAME.left, "y": FRAME.top, "width": FRAME.right - FRAME.left, "height": FRAME.bottom - FRAME.top}
    parts = [tag("rect", **whole, fill=_shade(len(LEVELS)))]
    step = 2 * REACH / CELLS
    for place in reversed(range(len(LEVELS))):
        shape = "".join(
            "M" + "L".join(f"{x(step * c - REACH):.1f} {y(step * r - REACH):.1f}" for c, r in outline) + "Z"
            for outline in regions(values, LEVELS[place])
        )
        parts.append(tag("path", d=shape, fill=_shade(place), fill_rule="evenodd", stroke=GROUND, stroke_width=0.4))
    return join(parts)


def _shade(place: int) -> str:
    """The colour of the band below the level at a place."""
    return css(ramp(0.92 * place / len(LEVELS)))


def _key() -> Markup:
    """The bands side by side, from no loss to the highest level."""
    left, side = 294.0, 5.0
    bands = [
        tag("rect", x=left + side * k, y=37.0, width=side, height=10.0, fill=_shade(k)) for k in range(len(LEVELS))
    ]
    low = text(left - 5, 46, "0", anchor="end", size=SMALL, muted=True)
    return join([low, *bands, text(left + side * len(LEVELS) + 5, 46, f"{LEVELS[-1]}", size=SMALL, muted=True)])


def _way(way: Sequence[Sequence[float]], colour: str, x: Scale, y: Scale) -> Markup:
    """A line with a light edge, and an arrow head in its middle."""
    places = [(x(a), y(b)) for a, b in way]
    line = " ".join(f"{a:.1f},{b:.1f}" for a, b in places)
    look = {"points": line, "fill": "none", "stroke_linejoin": "round", "stroke_linecap": "round"}
    parts = [
        tag("polyline", **look, stroke=GROUND, stroke_width=5, stroke_opacity=0.75),
        tag("polyline", **look, stroke=colour, stroke_width=2.4),
    ]
    middle = len(places) // 2
    (a0, b0), (a1, b1) = places[middle - 2], places[middle + 2]
    length = max(float(np.hypot(a1 - a0, b1 - b0)), 1e-9)
    dx, dy = (a1 - a0) / length, (b1 - b0) / length
    a, b = places[middle]
    tip = f"{a + 8 * dx:.1f},{b + 8 * dy:.1f}"
    sides = " ".join(f"{a - 4 * dx + s * 6 * dy:.1f},{b - 4 * dy - s * 6 * dx:.1f}" for s in (1, -1))
    parts.append(tag("polygon", points=f"{tip} {sides}", fill=colour, stroke=GROUND, stroke_width=1))
    return join(parts)


def _spot(column: float, row: float, colour: str) -> Markup:
    return tag("circle", cx=column, cy=row, r=5.5, fill=colour, stroke=GROUND, stroke_width=1.6)


def _label(column: float, row: float, content: str) -> Markup:
    """Ink with a light edge, to be read on any ground of the heat map."""
    look = {"x": column, "y": row, "text_anchor": "middle", "font_size": 12.0, "font_weight": "600"}
    edge = tag("text", content, **look, fill=GROUND, stroke=GROUND, stroke_width=3.5, stroke_linejoin="round")
    return join([edge, tag("text", content, **look, fill=INK)])


def _cut(cut: Mapping[str, Any]) -> Markup:
    """Figure 2: what the surrogate shares with the loss, and the parabola that it is not."""
    (first, top), (last, lowest) = cut["start"], cut["end"]
    x = Scale(cut["theta"][0], cut["theta"][-1], FRAME.left, FRAME.right, 1.0)
    y = Scale(-0.35, 1.35 * top, FRAME.bottom, FRAME.top, 1.0)
    title = "Surrogate loss after one task"
    parts = [heading(title, WIDTH), _legend(list(CURVES.values())), FRAME.axes(x, y, "θ", "loss")]
    for name, (_, colour, dash) in CURVES.items():
        shown = [(at, value) for at, value in zip(cut["theta"], cut["curves"][name], strict=True) if value <= y.high]
        line = " ".join(f"{x(at):.2f},{y(value):.2f}" for at, value in shown)
        width = 3.0 if name == "loss" else 2.2
        look = {"stroke": colour, "stroke_width": width, "stroke_dasharray": dash, "stroke_linejoin": "round"}
        parts.append(tag("polyline", points=line, fill="none", **look))
    parts += [
        rule(x(first), y(top), x(last), y(top), 0.6, "2 3"),
        _arrow(x(last), y(top), x(last), y(lowest) - 8),
        text(x(last) + 7, (y(top) + y(lowest)) / 2 - 40, "drop", size=SMALL),
        _arrow(x(first), y(-0.18), x(last), y(-0.18)),
        rule(x(first), y(top), x(first), y(-0.18), 0.6, "2 3"),
        text((x(first) + x(last)) / 2, y(-0.18) - 5, "displacement", anchor="middle", size=SMALL),
        _spot(x(first), y(top), INK),
        _spot(x(last), y(lowest), INK),
        text(x(first) + 9, y(top) - 7, "θ(0)", weight="600"),
        text(x(last) + 12, y(lowest) + 14, "θ(T)", weight="600"),
    ]
    return document(WIDTH, HEIGHT, title, f"drop {top - lowest:.4f}, displacement {last - first:.4f}", *parts)


def _arrow(x1: float, y1: float, x2: float, y2: float) -> Markup:
    length = float(np.hypot(x2 - x1, y2 - y1))
    dx, dy = (x2 - x1) / length, (y2 - y1) / length
    sides = " ".join(f"{x2 - 7 * dx + s * 3.5 * dy:.1f},{y2 - 7 * dy - s * 3.5 * dx:.1f}" for s in (1, -1))
    head = tag("polygon", points=f"{x2:.1f},{y2:.1f} {sides}", fill="currentColor")
    return join([tag("line", x1=x1, y1=y1, x2=x2, y2=y2, stroke="currentColor", stroke_width=1.2), head])


def _legend(entries: Sequence[tuple[str, str, str | None]]) -> Markup:
    """Names with their colours and dashes, in one row under the title."""
    parts, left = [], 12.0
    for name, colour, dash in entries:
        ends = {"x1": left, "x2": left + 20, "y1": 42.0, "y2": 42.0}
        if colour == INK:  # seen on dark ground, too
            parts.append(tag("line", **ends, stroke=GROUND, stroke_width=5))
        parts.append(tag("line", **ends, stroke=colour, stroke_width=2.6, stroke_dasharray=dash))
        parts.append(text(left + 25, 46, name, size=SMALL))
        left += 25 + text_width(name, SMALL) + 12
    return join(parts)
