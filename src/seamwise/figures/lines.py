"""Line charts with error bands: scores over the stream, losses over steps, a score over the strength c."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import groupby, pairwise

from seamwise.figures.markup import Markup, join, tag
from seamwise.figures.palette import series_colour, series_dash
from seamwise.figures.scale import Scale, linear, logarithmic
from seamwise.figures.svg import Frame, document, heading, left_margin, legend_block, marker, place_of, rule
from seamwise.figures.typeset import number

Point = tuple[float, float | None, float | None] | tuple[float, float | None]
Dot = tuple[float, float, float]  # pixel x, value, error (0 where none)


def lines(
    series: Mapping[str, Sequence[Point]],
    title: str,
    x_label: str,
    y_label: str,
    *,
    log_x: bool = False,
    errors: str = "band",
    legend: bool = True,
    y_range: tuple[float | None, float | None] = (None, None),
    whole_x: bool = False,
    mark_x: float | None = None,
    references: Mapping[str, float | None] | None = None,
    order: Sequence[str] | None = None,
    width: float = 620,
    height: float = 360,
) -> Markup:
    """Draw one line a series through its points (x, y, error or None) and return the SVG.

    A missing y (None, NaN) breaks the line; x of 0 has a place of its own on a logarithmic axis, negative x none.
    errors: "band" or "bars". y_range: fixed ends, None to fit; lines are cut there. whole_x: ticks at integers.
    mark_x: a dashed upright line. references: level lines by name. order: all names in the order that fixes their
    colours.
    """
    if errors not in ("band", "bars"):
        raise ValueError(f'errors must be "band" or "bars", not {errors!r}')
    levels = dict(references or {})
    names = [*series, *(name for name in levels if name not in series)]
    order = order or names
    xs = [point[0] for points in series.values() for point in points]
    y_scale = linear(_reach(series, levels), 0, 1, low=y_range[0], high=y_range[1])
    keys, keys_height = legend_block(names, order, 12, 34, width - 24) if legend and names else (Markup(), 0.0)
    frame = Frame(left_margin(y_scale), 42 + keys_height, width - 18, height - 46)
    y = Scale(y_scale.low, y_scale.high, frame.bottom, frame.top, y_scale.step)
    if log_x:
        x = logarithmic(xs, frame.left + 6, frame.right - 6)
    else:
        x = linear(
            xs, frame.left + 6, frame.right - 6, whole=whole_x, count=max(2, int((frame.right - frame.left) / 70))
        )
    parts = [heading(title, width), keys, frame.axes(x, y, x_label, y_label)]
    if mark_x is not None and x.shows(mark_x):
        parts.append(rule(x(mark_x), frame.top, x(mark_x), frame.bottom, 0.6, "3 4"))
    for name, level in levels.items():
        if level is not None and y.shows(level) and y.holds(level):
            parts.append(_level(place_of(name, order), y(level), frame))
    runs = {name: _runs(points, x) for name, points in series.items()}
    parts += [_errors(place_of(name, order), runs[name], y, errors) for name in series]
    parts += [_line(place_of(name, order), runs[name], y) for name in series]
    return document(width, height, title, _describe(series, levels, x_label, y_label), *parts)


def _reach(series: Mapping[str, Sequence[Point]], levels: Mapping[str, float | None]) -> list[float | None]:
    reach: list[float | None] = list(levels.values())
    for points in series.values():
        for point in points:
            value, error = point[1], _error(point)
            if value is not None:
                reach += [value - error, value + error]
    return reach


def _error(point: Point) -> float:
    error = point[2] if len(point) == 3 else None
    return abs(error) if error is not None and math.isfinite(error) else 0.0


def _runs(points: Sequence[Point], x: Scale) -> list[list[Dot]]:
    """Stretches without a gap; of very many points in one pixel column only the ends and extremes remain."""
    runs: list[list[Dot]] = [[]]
    for point in points:
        value = point[1]
        if not x.shows(point[0]) or value is None or not math.isfinite(value):
            runs.append([])
            continue
        runs[-1].append((x(point[0]), value, _error(point)))
    return [_thin(run) if len(run) > 2000 else run for run in runs if run]


def _thin(run: list[Dot]) -> list[Dot]:
    columns: dict[int, list[Dot]] = {}
    for dot in run:
        columns.setdefault(round(dot[0]), []).append(dot)
    kept = []
    for dots in columns.values():
        low, high = min(dots, key=lambda d: d[1]), max(dots, key=lambda d: d[1])
        kept += [dots[0], low, high, dots[-1]] if len(dots) > 4 else dots
    return kept


def _line(place: int, runs: list[list[Dot]], y: Scale) -> Markup:
    colour, dash = series_colour(place), series_dash(place)
    parts = []
    look = {"stroke": colour, "stroke_width": 2, "stroke_dasharray": dash, "stroke_linejoin": "round"}
    for stretch in (stretch for run in runs for stretch in _cut(run, y)):
        points = " ".join(f"{at:.2f},{y(value):.2f}" for at, value in stretch)
        parts.append(tag("polyline", points=points, fill="none", **look))
    if sum(len(run) for run in runs) <= 60:
        parts += [marker(place, at, y(value)) for run in runs for at, value, _ in run if y.holds(value)]
    return join(parts)


def _cut(run: list[Dot], y: Scale) -> list[list[tuple[float, float]]]:
    """What of a line lies within the axis, cut where it crosses an end: held to the end it would show false values."""
    path = [(at, value) for at, value, _ in run[:1]]
    for (at, value, _), (next_at, next_value, _) in pairwise(run):
        ends = [end for end in (y.low, y.high) if min(value, next_value) < end < max(value, next_value)]
        ends.sort(reverse=next_value < value)
        path += [(at + (end - value) / (next_value - value) * (next_at - at), end) for end in ends]
        path.append((next_at, next_value))
    return [list(stretch) for held, stretch in groupby(path, key=lambda dot: y.holds(dot[1])) if held]


def _errors(place: int, runs: list[list[Dot]], y: Scale, kind: str) -> Markup:
    colour, parts = series_colour(place), []
    for run in runs:
        if not any(error for _, _, error in run):
            continue
        if kind == "band" and len(run) > 1:
            upper = [f"{at:.2f},{y(value + error):.2f}" for at, value, error in run]
            lower = [f"{at:.2f},{y(value - error):.2f}" for at, value, error in reversed(run)]
            parts.append(tag("polygon", points=" ".join(upper + lower), fill=colour, fill_opacity=0.14))
            continue
        for at, value, error in run:
            top, bottom = y(value + error), y(value - error)
            path = f"M{at - 3:.2f} {top:.2f}h6M{at - 3:.2f} {bottom:.2f}h6M{at:.2f} {top:.2f}V{bottom:.2f}"
            parts.append(tag("path", d=path, stroke=colour, fill="none", stroke_width=1.2))
    return join(parts)


def _level(place: int, at: float, frame: Frame) -> Markup:
    look = {"stroke": series_colour(place), "stroke_width": 1.6, "stroke_dasharray": "6 4"}
    line = tag("line", x1=frame.left, y1=at, x2=frame.right, y2=at, **look)
    return join([line, marker(place, frame.right, at)])


def _describe(
    series: Mapping[str, Sequence[Point]], levels: Mapping[str, float | None], x_label: str, y_label: str
) -> str:
    """The numbers in words: each line's last value, each level."""
    told = []
    for name, points in list(series.items())[:40]:
        last = number(points[-1][1], ".4g") if points else number(None)
        told.append(f"{name}: {last}")
    told += [f"{name}: {number(level, '.4g')}" for name, level in levels.items()]
    return f"{y_label} / {x_label}. " + "; ".join(told)
