"""Heat maps with the number in every cell: the R matrix, confusion matrices, grids of a search."""

from __future__ import annotations

import math
from collections.abc import Sequence

from seamwise.figures.markup import Markup, join, tag
from seamwise.figures.palette import css, ink_on, ramp
from seamwise.figures.svg import SMALL, document, heading, text
from seamwise.figures.typeset import number, text_width

Cells = Sequence[Sequence[float | None]]
_MOST = 120  # rows or columns drawn; beyond, neighbours are averaged


def heat_map(
    matrix: Cells,
    rows: Sequence[str],
    columns: Sequence[str],
    title: str,
    low: float = 0.0,
    high: float = 1.0,
    value_format: str = ".2f",
    *,
    row_label: str = "",
    column_label: str = "",
    diagonal: bool = False,
    key: bool = True,
) -> Markup:
    """Draw a matrix as coloured cells, with names of rows and columns, and return the SVG.

    matrix: rows of values; None, NaN or a row that is too short leave cells empty. low, high: values at the ends of
    the colours; what lies beyond takes the end's colour and still shows its number. diagonal: outline the cells
    (i, i). key: draw the scale of colours. More than 120 rows or columns are averaged in blocks.
    """
    cells = [[_at(matrix, r, c) for c in range(len(columns))] for r in range(len(rows))]
    cells, rows, columns = _fold(cells, rows, columns)
    cell_w = min(48.0, max(7.0, 520 / max(len(columns), 1)))
    cell_h = min(30.0, max(7.0, 420 / max(len(rows), 1)))
    left = 24 + min(170.0, max((text_width(name, SMALL) for name in rows), default=0)) + (18 if row_label else 0)
    turned = any(text_width(name, SMALL) > cell_w - 4 for name in columns)
    tallest = min(120.0, max((text_width(name, SMALL) for name in columns), default=0))
    top = 40 + (14 if column_label else 0) + (tallest * 0.72 + 12 if turned else 18)
    right, bottom = left + cell_w * len(columns), top + cell_h * len(rows)
    lean = tallest * 0.72 if turned else 0
    scale = 40 + max(text_width(number(end, value_format), SMALL) for end in (low, high)) if key else 12
    width = max(right + max(scale, lean + 10), 200, min(text_width(title, 14) + 30, 620))
    height = max(bottom + 14, top + (110 if key else 0))
    parts = [heading(title, width)]
    if column_label:
        parts.append(text(left, 46, column_label, size=SMALL, muted=True, width=width - left - 8))
    if row_label:
        parts.append(text(15, (top + bottom) / 2, row_label, anchor="middle", size=SMALL, muted=True, turn=-90))
    parts.append(_names(rows, columns, left, top, cell_w, cell_h, turned))
    parts.append(_cells(cells, (left, top, cell_w, cell_h), (low, high), value_format, diagonal))
    if key:
        parts.append(_key(right + 18, top, low, high, value_format))
    return document(width, height, title, _describe(cells, rows, columns, value_format), *parts)


def _at(matrix: Cells, row: int, column: int) -> float | None:
    if row >= len(matrix) or column >= len(matrix[row]):
        return None
    value = matrix[row][column]
    return None if value is None or math.isnan(value) else value


def _fold(
    cells: list[list[float | None]], rows: Sequence[str], columns: Sequence[str]
) -> tuple[list[list[float | None]], Sequence[str], Sequence[str]]:
    """Blocks averaged until no side is longer than can be drawn; a block is named after its first member."""
    down, across = -(-len(rows) // _MOST) or 1, -(-len(columns) // _MOST) or 1
    if down == across == 1:
        return cells, rows, columns
    folded = []
    for r in range(0, len(rows), down):
        line: list[float | None] = []
        for c in range(0, len(columns), across):
            block = [v for row in cells[r : r + down] for v in row[c : c + across] if v is not None]
            line.append(sum(block) / len(block) if block else None)
        folded.append(line)
    return folded, rows[::down], columns[::across]


def _names(
    rows: Sequence[str], columns: Sequence[str], left: float, top: float, cell_w: float, cell_h: float, turned: bool
) -> Markup:
    parts = []
    for place in range(0, len(rows), math.ceil(13 / cell_h)):
        middle = top + (place + 0.5) * cell_h + 4
        parts.append(text(left - 8, middle, rows[place], anchor="end", size=SMALL, width=170))
    for place in range(0, len(columns), math.ceil(13 / cell_w) if turned else 1):
        middle = left + (place + 0.5) * cell_w
        if turned:
            parts.append(text(middle - 2, top - 7, columns[place], size=SMALL, width=120, turn=-45))
        else:
            parts.append(text(middle, top - 7, columns[place], anchor="middle", size=SMALL))
    return join(parts)


def _cells(
    cells: Cells,
    grid: tuple[float, float, float, float],
    span: tuple[float, float],
    value_format: str,
    diagonal: bool,
) -> Markup:
    left, top, w, h = grid
    gap = 1.0 if min(w, h) > 12 else 0.0
    parts, outlines = [], []
    # All numbers in one size where even the widest can be read, else each as large as its cell allows.
    widest = max((text_width(number(v, value_format), 12) for row in cells for v in row if v is not None), default=1.0)
    common = min(12.0, h - 5, 12 * (w - 5) / widest)
    for r, row in enumerate(cells):
        for c, value in enumerate(row):
            box = {"x": left + c * w, "y": top + r * h, "width": w - gap, "height": h - gap}
            if value is None:
                parts.append(tag("rect", **box, fill="currentColor", fill_opacity=0.05))
                continue
            colour = ramp(_share(value, *span))
            parts.append(tag("rect", **box, fill=css(colour)))
            label = number(value, value_format)
            size = common if common >= 7 else min(12.0, h - 5, 12 * (w - 5) / max(text_width(label, 12), 1))
            if size >= 7:
                middle, base = left + c * w + (w - gap) / 2, top + r * h + (h - gap) / 2 + size * 0.36
                parts.append(text(middle, base, label, anchor="middle", size=size, fill=ink_on(colour)))
            if diagonal and r == c:
                inset = {key: v + (0.75 if key in "xy" else -1.5) for key, v in box.items()}
                outlines.append(tag("rect", **inset, fill="none", stroke="currentColor", stroke_width=1.5))
    return join(parts + outlines)


def _share(value: float, low: float, high: float) -> float:
    if high == low:
        return 0.5
    share = (value / 2 - low / 2) / (high / 2 - low / 2)
    return round(min(max(share, 0.0), 1.0), 3)


def _key(x: float, y: float, low: float, high: float, value_format: str) -> Markup:
    steps, tall = 25, 90.0
    strip = [
        tag(
            "rect",
            x=x,
            y=y + tall * k / steps,
            width=10,
            height=tall / steps + 0.3,
            fill=css(ramp(1 - (k + 0.5) / steps)),
        )
        for k in range(steps)
    ]
    ends = [
        text(x + 14, at, number(value, value_format), size=SMALL, muted=True)
        for value, at in ((high, y + 9), (low, y + tall))
    ]
    return join(strip + ends)


def _describe(cells: Cells, rows: Sequence[str], columns: Sequence[str], value_format: str) -> str:
    """Small matrices in words, large ones by their size."""
    if len(rows) * len(columns) > 400:
        return f"{len(rows)} x {len(columns)}"
    told = [
        f"{name}: " + ", ".join(number(v, value_format) for v in row) for name, row in zip(rows, cells, strict=True)
    ]
    return f"({', '.join(columns)}) " + "; ".join(told)
