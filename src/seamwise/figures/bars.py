"""Bar charts: groups side by side, one bar a series, with error bars."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from seamwise.figures.markup import Markup, join, tag
from seamwise.figures.palette import series_colour
from seamwise.figures.scale import Scale, linear
from seamwise.figures.svg import SMALL, Frame, document, heading, left_margin, place_of, rule, text
from seamwise.figures.typeset import number, shorten, text_width

Value = float | tuple[float | None, float | None] | None


def bars(
    groups: Sequence[str],
    series: Mapping[str, Sequence[Value]],
    title: str,
    y_label: str,
    *,
    y_range: tuple[float | None, float | None] = (None, None),
    value_format: str | None = ".2f",
    order: Sequence[str] | None = None,
    width: float = 620,
    height: float = 340,
) -> Markup:
    """Draw for every group one bar a series and return the SVG.

    series: for each name one value a group: a number, (number, error), or None for no bar. value_format: how numbers
    over wide bars are written; None writes none. order: all names in the order that fixes their colours.
    """
    order = order or list(series)
    pairs = {
        name: [_pair(values[g] if g < len(values) else None) for g in range(len(groups))]
        for name, values in series.items()
    }
    reach = [
        v for row in pairs.values() for value, error in row if value is not None for v in (value - error, value + error)
    ]
    span = linear([0.0, *reach], 0, 1, low=y_range[0], high=y_range[1])
    keys, keys_height = _legend(list(series), order, width)
    left, right = left_margin(span), width - 18
    slot = (right - left) / max(len(groups), 1)
    turned = any(text_width(name, SMALL) > slot - 6 for name in groups)
    foot = 24 + (min(150.0, max(text_width(name, SMALL) for name in groups)) * 0.72 if turned else 0)
    frame = Frame(left, 46 + keys_height, right, height - foot)
    y = Scale(span.low, span.high, frame.bottom, frame.top, span.step)
    parts = [heading(title, width), keys, frame.y_axis(y, y_label)]
    thick = slot * 0.8 / max(len(series), 1)
    for column, (name, row) in enumerate(pairs.items()):
        for group, (value, error) in enumerate(row):
            if value is not None:
                at = left + slot * (group + 0.1) + thick * column
                parts.append(_bar(place_of(name, order), value, error, at, thick, y, value_format))
    if span.low < 0 < span.high:
        parts.append(rule(left, y(0), right, y(0), 0.55))
    every = math.ceil(13 / slot) if turned else 1
    for group in range(0, len(groups), every):
        middle = left + slot * (group + 0.5)
        if turned:
            parts.append(
                text(middle + 4, frame.bottom + 14, groups[group], anchor="end", size=SMALL, width=150, turn=-45)
            )
        else:
            parts.append(text(middle, frame.bottom + 17, groups[group], anchor="middle", size=SMALL))
    return document(width, height, title, _describe(groups, pairs, y_label), *parts)


def _pair(value: Value) -> tuple[float | None, float]:
    number_, error = value if isinstance(value, tuple) else (value, None)
    if number_ is None or not math.isfinite(number_):
        return None, 0.0
    return number_, abs(error) if error is not None and math.isfinite(error) else 0.0


def _bar(place: int, value: float, error: float, x: float, thick: float, y: Scale, value_format: str | None) -> Markup:
    base, tip = y(min(max(0.0, y.low), y.high)), y(value)
    gap = min(1.5, thick * 0.1)
    box = {"x": x + gap / 2, "y": min(base, tip), "width": thick - gap, "height": max(abs(base - tip), 0.5)}
    parts = [tag("rect", **box, fill=series_colour(place))]
    middle, top, bottom = x + thick / 2, y(value + error), y(value - error)
    if error:
        cap = min(4.0, thick / 4)
        path = f"M{middle - cap:.2f} {top:.2f}h{2 * cap:.2f}M{middle - cap:.2f} {bottom:.2f}h{2 * cap:.2f}"
        parts.append(tag("path", d=f"{path}M{middle:.2f} {top:.2f}V{bottom:.2f}", stroke="currentColor", fill="none"))
    label = number(value, value_format) if value_format else ""
    if label and text_width(label, 10) <= thick:
        parts.append(text(middle, top - 4 if value >= 0 else bottom + 12, label, anchor="middle", size=10.0))
    return join(parts)


def _legend(names: Sequence[str], order: Sequence[str], width: float) -> tuple[Markup, float]:
    """Coloured squares with names, in rows; one series needs none."""
    if len(names) < 2:
        return Markup(), 0.0
    parts, x, y = [], 12.0, 36.0
    for name in names:
        need = 18 + text_width(shorten(name, 180, SMALL), SMALL) + 16
        if x + need > width - 12 and x > 12:
            x, y = 12.0, y + 18
        parts.append(tag("rect", x=x, y=y, width=11, height=11, rx=2, fill=series_colour(place_of(name, order))))
        parts.append(text(x + 17, y + 10, name, size=SMALL, width=180))
        x += need
    return join(parts), y - 36 + 18


def _describe(groups: Sequence[str], pairs: Mapping[str, Sequence[tuple[float | None, float]]], y_label: str) -> str:
    told = [
        f"{name}: " + ", ".join(f"{g} {number(v, '.4g')}" for g, (v, _) in zip(groups, row, strict=True))
        for name, row in pairs.items()
    ]
    return f"{y_label}. " + "; ".join(told)[:4000]
