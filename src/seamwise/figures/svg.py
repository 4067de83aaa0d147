"""Pieces of SVG that every chart shares: the document, text, markers, the legend, the frame with its axes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from seamwise.figures.markup import Markup, join, tag
from seamwise.figures.palette import series_colour, series_dash
from seamwise.figures.scale import Scale
from seamwise.figures.typeset import shorten, text_width

FONT = (
    "system-ui, 'Segoe UI', 'Helvetica Neue', 'Noto Sans', 'PingFang SC', 'Microsoft YaHei', 'Noto Sans CJK SC', "
    "sans-serif"
)
INK, GROUND = "#1f2933", "#ffffff"
DARK_INK, DARK_GROUND = "#dfe4ea", "#171b21"
SMALL, NORMAL, LARGE = 11.0, 12.0, 14.0

# Everything neutral is drawn in the current colour, so one rule turns a figure to dark; print stays light.
_STYLE = Markup(
    f".sw-figure{{color:{INK};background:{GROUND}}}.sw-halo{{stroke:{GROUND}}}.sw-plate{{fill:{GROUND}}}"
    f"@media screen and (prefers-color-scheme:dark){{.sw-figure{{color:{DARK_INK};background:{DARK_GROUND}}}"
    f".sw-halo{{stroke:{DARK_GROUND}}}.sw-plate{{fill:{DARK_GROUND}}}}}"
)


def document(width: float, height: float, title: str, description: str, *body: Markup) -> Markup:
    """A whole SVG figure with a name and a description for those who cannot see it."""
    return tag(
        "svg",
        tag("title", title),
        tag("desc", description),
        tag("style", _STYLE),
        *body,
        xmlns="http://www.w3.org/2000/svg",
        width=float(width),
        height=float(height),
        viewBox=f"0 0 {float(width):g} {float(height):g}",
        class_="sw-figure",
        color=INK,
        role="img",
        aria_label=title,
        font_family=FONT,
        font_size=NORMAL,
    )


def text(
    x: float,
    y: float,
    content: str,
    *,
    anchor: str | None = None,
    size: float | None = None,
    weight: str | None = None,
    fill: str = "currentColor",
    muted: bool = False,
    width: float | None = None,
    turn: float | None = None,
    class_: str | None = None,
) -> Markup:
    """One line of text with its baseline at (x, y).

    anchor: "middle" or "end". muted: weaker ink. width: longer text is cut to these pixels and shown whole on
    hovering. turn: degrees clockwise around (x, y).
    """
    shown = content if width is None else shorten(content, width, size or NORMAL)
    whole = [tag("title", content)] if shown != content else []
    turned = None if turn is None else f"rotate({turn:g} {x:.2f} {y:.2f})"
    return tag(
        "text",
        *whole,
        shown,
        x=float(x),
        y=float(y),
        text_anchor=anchor,
        font_size=size,
        font_weight=weight,
        fill=fill,
        fill_opacity=0.72 if muted else None,
        transform=turned,
        class_=class_,
    )


def rule(x1: float, y1: float, x2: float, y2: float, opacity: float = 0.16, dash: str | None = None) -> Markup:
    """A thin neutral line."""
    ends = {"x1": float(x1), "y1": float(y1), "x2": float(x2), "y2": float(y2)}
    return tag("line", **ends, stroke="currentColor", stroke_opacity=opacity, stroke_dasharray=dash)


def marker(place: int, x: float, y: float, size: float = 3.6) -> Markup:
    """The mark of the series at a place: colour and shape together are unlike for 35 series."""
    look = {"fill": series_colour(place), "stroke_width": 1, "class_": "sw-halo", "stroke": GROUND}
    shape = place % 5
    if shape == 0:
        return tag("circle", cx=float(x), cy=float(y), r=size, **look)
    if shape == 1:
        return tag("rect", x=x - size, y=y - size, width=2 * size, height=2 * size, **look)
    s = size * 1.25
    corners = {
        2: ((0, -s), (s, s * 0.8), (-s, s * 0.8)),
        3: ((0, -s * 1.1), (s * 1.1, 0), (0, s * 1.1), (-s * 1.1, 0)),
        4: ((0, s), (s, -s * 0.8), (-s, -s * 0.8)),
    }[shape]
    return tag("polygon", points=" ".join(f"{x + dx:.2f},{y + dy:.2f}" for dx, dy in corners), **look)


def legend_rows(names: Sequence[str], width: float) -> list[list[str]]:
    """The names of a legend, broken into rows that fit a width."""
    rows: list[list[str]] = []
    used = width + 1
    for name in names:
        need = 34 + text_width(shorten(name, 180, SMALL), SMALL) + 14
        if used + need > width:
            rows.append([])
            used = 0.0
        rows[-1].append(name)
        used += need
    return rows


def legend_block(names: Sequence[str], order: Sequence[str], x: float, y: float, width: float) -> tuple[Markup, float]:
    """A legend in rows with its top left corner at (x, y), and its height."""
    parts: list[Markup] = []
    rows = legend_rows(names, width)
    for line, row in enumerate(rows):
        left, middle = x, y + 9 + 18 * line
        for name in row:
            place = place_of(name, order)
            stroke = {"stroke": series_colour(place), "stroke_width": 2, "stroke_dasharray": series_dash(place)}
            parts.append(tag("line", x1=left, y1=middle, x2=left + 26, y2=middle, **stroke))
            parts.append(marker(place, left + 13, middle))
            parts.append(text(left + 32, middle + 4, name, size=SMALL, width=180))
            left += 34 + text_width(shorten(name, 180, SMALL), SMALL) + 14
    return join(parts), 18.0 * len(rows)


def legend_entries(names: Sequence[str], order: Sequence[str] | None = None) -> list[Markup]:
    """A legend in pieces, one small figure a series, for a page that breaks them into lines as it likes."""
    pieces = []
    for name in names:
        width = 36 + text_width(shorten(name, 180, SMALL), SMALL)
        block, height = legend_block([name], order or names, 0, 0, width + 20)
        pieces.append(document(width, height, name, "", block))
    return pieces


def place_of(name: str, order: Sequence[str]) -> int:
    """The place of a series in the order that fixes its colour."""
    return list(order).index(name) if name in order else len(order)


@dataclass(frozen=True)
class Frame:
    """The rectangle that a chart plots into, in pixels from the top left corner of the figure."""

    left: float
    top: float
    right: float
    bottom: float

    def axes(self, x: Scale, y: Scale, x_label: str, y_label: str) -> Markup:
        """Grid lines, tick labels and the names of both axes."""
        parts = [self.y_axis(y, y_label)]
        last = -1e9
        for value, label in x.ticks():
            at, half = x(value), text_width(label, SMALL) / 2
            parts.append(rule(at, self.bottom, at, self.bottom + 4, 0.5))
            # A label that would touch the one before it is left out, its tick stays.
            if at - half > last + 4:
                parts.append(text(at, self.bottom + 17, label, anchor="middle", size=SMALL, muted=True))
                last = at + half
        if x.zero:
            gap = (x(0) + x(x.low)) / 2
            parts.append(rule(gap - 4, self.bottom + 5, gap, self.bottom - 5, 0.7))
            parts.append(rule(gap, self.bottom + 5, gap + 4, self.bottom - 5, 0.7))
        middle, room = (self.left + self.right) / 2, self.right - self.left
        parts.append(text(middle, self.bottom + 36, x_label, anchor="middle", width=room))
        return join(parts)

    def y_axis(self, y: Scale, y_label: str) -> Markup:
        """The vertical axis with its grid, and the line that the plot stands on."""
        parts = []
        for value, label in y.ticks():
            at = y(value)
            parts.append(rule(self.left, at, self.right, at))
            parts.append(text(self.left - 7, at + 4, label, anchor="end", size=SMALL, muted=True))
        parts.append(rule(self.left, self.bottom, self.right, self.bottom, 0.55))
        middle, room = (self.top + self.bottom) / 2, self.bottom - self.top + 20
        parts.append(text(15, middle, y_label, anchor="middle", turn=-90, width=room))
        return join(parts)


def left_margin(y: Scale) -> float:
    """Pixels left of a plot for the vertical axis's labels and name."""
    return 34 + max((text_width(label, SMALL) for _, label in y.ticks()), default=0.0)


def heading(title: str, width: float) -> Markup:
    """The figure's title line."""
    return text(12, 22, title, size=LARGE, weight="600", width=width - 24)
