"""Outlines of the places where a function on a grid is at most a level (marching squares)."""

from __future__ import annotations

import numpy as np

from seamwise.experiments.paper.theory.descent import Array

Corner = tuple[int, int]
Edge = tuple[Corner, Corner]
Outline = list[tuple[float, float]]

# Corners of a cell in turn; bit k of a cell's case says that corner k lies inside.
_CORNERS = ((0, 0), (0, 1), (1, 1), (1, 0))


def regions(values: Array, level: float) -> list[Outline]:
    """Closed outlines, in grid coordinates (column, row), of where values (rows, columns) are at most the level.

    Fill them together with the even-odd rule. An outline that leaves the grid follows its border.
    """
    # A rim that is infinitely high closes every outline; its crossings fall onto the border itself.
    padded = np.pad(values, 1, constant_values=np.inf)
    following: dict[Edge, Edge] = {}
    inside = padded <= level
    for row in range(padded.shape[0] - 1):
        for column in range(padded.shape[1] - 1):
            if 0 < inside[row : row + 2, column : column + 2].sum() < 4:
                following.update(_crossings(padded, level, row, column))
    outlines = []
    while following:
        first, edge = following.popitem()
        outline = [_place(padded, level, first)]
        while edge != first:
            outline.append(_place(padded, level, edge))
            edge = following.pop(edge)
        outlines.append(outline)
    return outlines


def _crossings(values: Array, level: float, row: int, column: int) -> dict[Edge, Edge]:
    """Where the outline enters a cell and where it leaves it, the inside always on the same hand."""
    corners = [(row + dr, column + dc) for dr, dc in _CORNERS]
    inside = [bool(values[corner] <= level) for corner in corners]
    edges = [_edge(corners[k], corners[(k + 1) % 4]) for k in range(4)]
    enters = [k for k in range(4) if not inside[k] and inside[(k + 1) % 4]]
    leaves = [k for k in range(4) if inside[k] and not inside[(k + 1) % 4]]
    if len(enters) == 2:  # a saddle: its middle says whether the two inside corners hang together
        apart = np.mean([values[corner] for corner in corners]) > level
        leaves = [(k + 1) % 4 if apart else (k - 1) % 4 for k in enters]
    return {edges[b]: edges[a] for a, b in zip(enters, leaves, strict=True)}


def _edge(a: Corner, b: Corner) -> Edge:
    return (a, b) if a < b else (b, a)


def _place(values: Array, level: float, edge: Edge) -> tuple[float, float]:
    """Where the level is crossed along an edge, by linear interpolation; less 1 for the rim."""
    (row, column), (row_b, column_b) = edge
    a, b = values[row, column], values[row_b, column_b]
    share = 0.0 if np.isinf(b) else 1.0 if np.isinf(a) else float((level - a) / (b - a))
    return column + share * (column_b - column) - 1, row + share * (row_b - row) - 1
