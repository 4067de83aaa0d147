"""A chart of lines and marks whose axes may both be logarithmic: powers show as slopes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from seamwise.figures.markup import Markup, join, tag
from seamwise.figures.palette import series_colour
from seamwise.figures.scale import Scale, linear, logarithmic
from seamwise.figures.svg import SMALL, Frame, document, heading, left_margin, marker, text
from seamwise.figures.typeset import text_width

Point = tuple[float, float] | tuple[float, float, float]  # x, y and perhaps the error of y
WIDTH, HEIGHT = 520.0, 340.0


@dataclass(frozen=True)
class Series:
    """points: joined by a line, shown by marks, or both. dots: further marks of the same colour."""

    points: Sequence[Point]
    line: bool = True
    marks: bool = False
    dashed: bool = False
    dots: Sequence[Point] = field(default_factory=list)


def chart(series: Mapping[str, Series], title: str, x_label: str, y_label: str, *, log: bool = False) -> Markup:
    """Draws all lines, then all marks over them, and returns the SVG."""
    points = [point for one in series.values() for point in (*one.points, *one.dots)]
    xs, ys = [point[0] for point in points], [point[1] for point in points]
    keys, keys_height = _legend(series)
    bottom, top = HEIGHT - 46, 44 + keys_height
    y = logarithmic(ys, bottom, top) if log else linear([0.0, *ys], bottom, top)
    frame = Frame(left_margin(y) + 4, top, WIDTH - 18, bottom)
    x = logarithmic(xs, frame.left + 6, frame.right - 6) if log else linear([0.0, *xs], frame.left, frame.right - 6)
    drawn = [_line(place, one, x, y) for place, one in enumerate(series.values())]
    drawn += [_marks(place, one, x, y) for place, one in enumerate(series.values())]
    told = "; ".join(f"{name}: {one.points[-1][1]:.4g}" for name, one in series.items())
    parts = [heading(title, WIDTH), keys, frame.axes(x, y, x_label, y_label), *drawn]
    return document(WIDTH, HEIGHT, title, f"{y_label} / {x_label}. {told}", *parts)


def _line(place: int, one: Series, x: Scale, y: Scale) -> Markup:
    if not one.line:
        return Markup()
    places = " ".join(f"{x(point[0]):.2f},{y(point[1]):.2f}" for point in one.points)
    look = {"stroke": series_colour(place), "stroke_width": 1.8, "stroke_dasharray": "5 4" if one.dashed else None}
    return tag("polyline", points=places, fill="none", **look)


def _marks(place: int, one: Series, x: Scale, y: Scale) -> Markup:
    colour, parts = series_colour(place), []
    for point in (*(one.points if one.marks else ()), *one.dots):
        if len(point) == 3:
            ends = {"y1": y(point[1] - point[2]), "y2": y(point[1] + point[2])}
            parts.append(tag("line", x1=x(point[0]), x2=x(point[0]), **ends, stroke=colour, stroke_width=1.4))
        parts.append(marker(place, x(point[0]), y(point[1])))
    return join(parts)


def _legend(series: Mapping[str, Series]) -> tuple[Markup, float]:
    """Short strokes with names, in rows, and their height."""
    parts, left, top = [], 12.0, 42.0
    for place, (name, one) in enumerate(series.items()):
        need = 34 + text_width(name, SMALL) + 14
        if left + need > WIDTH - 12 and left > 12:
            left, top = 12.0, top + 18
        if one.line:
            dash = "5 4" if one.dashed else None
            stroke = {"stroke": series_colour(place), "stroke_width": 1.8, "stroke_dasharray": dash}
            parts.append(tag("line", x1=left, y1=top, x2=left + 26, y2=top, **stroke))
        if one.marks or one.dots:
            parts.append(marker(place, left + 13, top))
        parts.append(text(left + 32, top + 4, name, size=SMALL))
        left += need
    return join(parts), top - 24
