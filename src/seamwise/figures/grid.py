"""Small multiples: several figures in one, row by row."""

from __future__ import annotations

import re
from collections.abc import Sequence

from seamwise.figures.markup import Markup, tag
from seamwise.figures.svg import document, heading

_SIZE = re.compile(r'<svg\b[^>]*?\bviewBox="0 0 ([\d.e+]+) ([\d.e+]+)"')


def grid(figures: Sequence[str], title: str = "", columns: int = 3, gap: float = 12) -> Markup:
    """Figures made by this package laid out in rows of `columns`, each at its own size, as one SVG."""
    sizes = [_size(figure) for figure in figures]
    columns = max(1, min(columns, len(figures) or 1))
    widths = [max((w for w, _ in sizes[c::columns]), default=0.0) for c in range(columns)]
    heights = [max(h for _, h in sizes[r : r + columns]) for r in range(0, len(sizes), columns)]
    top = 34.0 if title else 0.0
    parts = [heading(title, max(sum(widths), 200))] if title else []
    for place, (figure, (w, h)) in enumerate(zip(figures, sizes, strict=True)):
        row, column = divmod(place, columns)
        x, y = sum(widths[:column]) + gap * column, top + sum(heights[:row]) + gap * row
        parts.append(tag("svg", Markup(figure), x=float(x), y=float(y), width=w, height=h))
    width = max(sum(widths) + gap * (columns - 1), 200)
    height = max(top + sum(heights) + gap * max(len(heights) - 1, 0), 40)
    return document(width, height, title, f"{len(figures)}", *parts)


def _size(figure: str) -> tuple[float, float]:
    found = _SIZE.search(figure)
    if found is None:
        raise ValueError("a figure in a grid needs a viewBox that starts at 0 0")
    return float(found[1]), float(found[2])
