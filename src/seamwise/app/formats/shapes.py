"""Areas as annotation tools keep them - polygons and run lengths - to masks and back, exact to the pixel.

A pixel belongs to a polygon when its centre does (even-odd rule): the whole pixel at column x, row y has its centre at
(x + 0.5, y + 0.5).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from seamwise.errors import BadInputError

Flags = NDArray[np.bool_]
_MOST_VERTICES = 100_000
_FARTHEST = 1e6


def fill_polygon(points: Sequence[tuple[float, float]], size: tuple[int, int]) -> Flags:
    """The pixels of a polygon, points (x, y) in pixels, at a size (height, width)."""
    if not 3 <= len(points) <= _MOST_VERTICES:
        raise BadInputError(f"a polygon has {len(points)} points; it needs 3 to {_MOST_VERTICES}")
    if not all(math.isfinite(value) and abs(value) <= _FARTHEST for point in points for value in point):
        raise BadInputError("a polygon has a point that is not a place in the picture")
    height, width = size
    left, right = (min(max(edge, 0), width) for edge in _span(x for x, _ in points))
    first, last = (min(max(edge, 0), height) for edge in _span(y for _, y in points))
    turns = np.zeros((last - first, right - left + 1), dtype=np.uint8)
    for (x0, y0), (x1, y1) in zip(points, [*points[1:], points[0]], strict=True):
        if y0 == y1:
            continue
        top, bottom = sorted((y0, y1))
        rows = np.arange(max(first, math.ceil(top - 0.5)), min(last, math.ceil(bottom - 0.5)))
        crossing = x0 + (rows + 0.5 - y0) * ((x1 - x0) / (y1 - y0))
        columns = np.clip(np.ceil(crossing - 0.5), left, right).astype(np.intp)
        turns[rows - first, columns - left] ^= 1  # an edge crosses each row once
    area = np.zeros(size, dtype=bool)
    area[first:last, left:right] = np.bitwise_xor.accumulate(turns[:, :-1], axis=1)
    return area


def _span(places: Iterable[float]) -> tuple[int, int]:
    """The first pixel that may be inside, and the one after the last."""
    found = list(places)
    return math.floor(min(found)), math.ceil(max(found))


def run_lengths(flags: Flags) -> list[int]:
    """COCO's uncompressed run lengths of an area: down the columns, beginning with pixels outside."""
    flat = flags.ravel(order="F")
    changes = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    counts = np.diff(np.concatenate([[0], changes, [flat.size]])).tolist()
    return [0, *counts] if flat[0] else counts


def from_run_lengths(counts: Sequence[int], size: tuple[int, int]) -> Flags:
    """The area of COCO's run lengths at a size (height, width)."""
    height, width = size
    runs = np.asarray(counts, dtype=np.int64)
    if runs.ndim != 1 or (runs < 0).any() or (runs > height * width).any() or int(runs.sum()) != height * width:
        raise BadInputError(f"run lengths do not fill {width} x {height} pixels")
    inside = np.arange(len(runs)) % 2 == 1
    return np.repeat(inside, runs).reshape((height, width), order="F")


def unpacked_counts(text: str) -> list[int]:
    """COCO's compressed run lengths: numbers of 5 bits a letter from '0' on, from the fourth on as differences to the
    one before last (cocoapi, maskApi.c, rleFrString)."""
    counts: list[int] = []
    at = 0
    while at < len(text):
        value = shift = 0
        more = True
        while more:
            if at >= len(text) or not 48 <= ord(text[at]) < 112 or shift > 60:
                raise BadInputError("compressed run lengths are damaged")
            letter = ord(text[at]) - 48
            value |= (letter & 31) << shift
            shift += 5
            at += 1
            more = bool(letter & 32)
            if not more and letter & 16:
                value |= -1 << shift
        if len(counts) > 2:
            value += counts[-2]
        counts.append(value)
    return counts
