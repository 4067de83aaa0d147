"""Scatter plots with labels that do not collide: the trade-off between old and new domains."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from seamwise.figures.markup import Markup, join, tag
from seamwise.figures.palette import series_colour
from seamwise.figures.placing import Box, Placed, place_labels
from seamwise.figures.scale import Scale, linear, logarithmic
from seamwise.figures.svg import GROUND, NORMAL, Frame, document, heading, left_margin, legend_block, marker, place_of
from seamwise.figures.typeset import number

Point = tuple[float | None, float | None] | tuple[float | None, float | None, float | None, float | None]
Dot = tuple[float, float, float, float]  # x, y and their errors (0 where none)


def scatter(
    points: Mapping[str, Sequence[Point]],
    title: str,
    x_label: str,
    y_label: str,
    *,
    log_x: bool = False,
    labels: bool = True,
    order: Sequence[str] | None = None,
    width: float = 620,
    height: float = 440,
) -> Markup:
    """Draw named groups of points (x, y) or (x, y, x_error, y_error) and return the SVG.

    A group's name stands beside its first point; names that find no free place go into a legend below, as all do
    with `labels=False`. Points with a missing coordinate are left out. order: all names in the order of colours.
    """
    order = order or list(points)
    dots = {name: [dot for point in group if (dot := _dot(point))] for name, group in points.items()}
    flat = [dot for group in dots.values() for dot in group]
    y_span = linear([v for _, y, _, e in flat for v in (y - e, y + e)], 0, 1)
    frame = Frame(left_margin(y_span), 42, width - 18, height - 46)
    y = Scale(y_span.low, y_span.high, frame.bottom - 6, frame.top + 6, y_span.step)
    if log_x:
        x = logarithmic([v for v, *_ in flat], frame.left + 8, frame.right - 8)
    else:
        x = linear([v for at, _, e, _ in flat for v in (at - e, at + e)], frame.left + 8, frame.right - 8, count=6)
    dots = {name: [dot for dot in group if x.shows(dot[0])] for name, group in dots.items()}
    parts = [heading(title, width), frame.axes(x, y, x_label, y_label)]
    places = {name: place_of(name, order) for name in points}
    parts += [_bars(places[name], dot, x, y) for name, group in dots.items() for dot in group]
    parts += [marker(places[name], x(dot[0]), y(dot[1]), 4.6) for name, group in dots.items() for dot in group]
    placed = _place(dots, x, y, frame) if labels else {}
    parts += [_label(name, places[name], spot) for name, spot in placed.items()]
    rest = [name for name in points if name not in placed]
    keys, keys_height = legend_block(rest, order, 12, height, width - 24) if rest else (Markup(), 0.0)
    total = height + (keys_height + 8 if rest else 0)
    return document(width, total, title, _describe(dots, x_label, y_label), *parts, keys)


def _dot(point: Point) -> Dot | None:
    x, y = point[0], point[1]
    if x is None or y is None or not (math.isfinite(x) and math.isfinite(y)):
        return None
    errors = point[2:] if len(point) == 4 else (None, None)
    x_error, y_error = (abs(e) if e is not None and math.isfinite(e) else 0.0 for e in errors)
    return x, y, x_error, y_error


def _bars(place: int, dot: Dot, x: Scale, y: Scale) -> Markup:
    at_x, at_y = x(dot[0]), y(dot[1])
    path = ""
    if dot[2]:
        path += f"M{x(dot[0] - dot[2]):.2f} {at_y:.2f}H{x(dot[0] + dot[2]):.2f}"
    if dot[3]:
        path += f"M{at_x:.2f} {y(dot[1] - dot[3]):.2f}V{y(dot[1] + dot[3]):.2f}"
    if not path:
        return Markup()
    return tag("path", d=path, stroke=series_colour(place), stroke_width=1.4, stroke_opacity=0.75, fill="none")


def _place(dots: Mapping[str, Sequence[Dot]], x: Scale, y: Scale, frame: Frame) -> dict[str, Placed]:
    anchors = {name: (x(group[0][0]), y(group[0][1])) for name, group in dots.items() if group}
    if len(anchors) > 60:
        return {}
    marks = [Box(x(d[0]) - 6, y(d[1]) - 6, x(d[0]) + 6, y(d[1]) + 6) for group in dots.values() for d in group[:200]]
    bars = []
    for group in dots.values():
        for at, level, x_error, y_error in group[:200]:
            bars.append(Box(x(at - x_error), y(level) - 1, x(at + x_error), y(level) + 1))
            bars.append(Box(x(at) - 1, y(level + y_error), x(at) + 1, y(level - y_error)))
    return place_labels(anchors, marks, bars, Box(frame.left, frame.top, frame.right, frame.bottom), NORMAL)


def _label(name: str, place: int, spot: Placed) -> Markup:
    parts = []
    if spot.leader is not None:
        (x1, y1), (x2, y2) = spot.leader
        line = {"x1": x1, "y1": y1, "x2": x2, "y2": y2}
        parts.append(tag("line", **line, stroke=series_colour(place), stroke_width=0.8, stroke_opacity=0.7))
    # The plate keeps a name readable where it lies over a grid line or an error bar.
    box = spot.box
    plate = {"x": box.left, "y": box.top, "width": box.right - box.left, "height": box.bottom - box.top}
    parts.append(tag("rect", **plate, class_="sw-plate", fill=GROUND, fill_opacity=0.85))
    whole = [tag("title", name)] if spot.shown != name else []
    look = {"font_size": NORMAL, "fill": "currentColor", "class_": "sw-name"}
    parts.append(tag("text", *whole, spot.shown, x=box.left + 1, y=box.bottom - 4, **look))
    return join(parts)


def _describe(dots: Mapping[str, Sequence[Dot]], x_label: str, y_label: str) -> str:
    told = [
        f"{name}: ({number(d[0], '.4g')}, {number(d[1], '.4g')})" for name, group in dots.items() for d in group[:3]
    ]
    return f"{x_label}, {y_label}. " + "; ".join(told[:60])
