"""Areas as annotation tools keep them - polygons and run lengths - to masks and back, exact to the pixel.

A pixel belongs to a polygon when its centre does (even-odd rule): the whole pixel at column x, row y has its centre at
(x + 0.5, y + 0.5).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from seamwise.errors import BadInputError

Flags = NDArray[np.bool_]
Places = NDArray[np.intp]
_MOST_VERTICES = 100_000
_FARTHEST = 1e6


@dataclass(frozen=True)
class Patch:
    """A part of a picture: flags (h, w) whose first pixel is in row `top`, column `left`. A picture has many areas, and
    what each costs must not grow with the picture."""

    top: int
    left: int
    flags: Flags

    def paint(self, ids: NDArray[np.uint8], number: int) -> None:
        """Writes a class id into a mask (H, W)."""
        height, width = self.flags.shape
        ids[self.top : self.top + height, self.left : self.left + width][self.flags] = number


def fill_polygon(points: Sequence[tuple[float, float]], size: tuple[int, int]) -> Patch:
    """The pixels of a polygon, points (x, y) in pixels, at a size (height, width); what is outside is left out."""
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
    return Patch(first, left, np.bitwise_xor.accumulate(turns[:, :-1], axis=1).astype(bool))


def _span(places: Iterable[float]) -> tuple[int, int]:
    """The first pixel that may be inside, and the one after the last."""
    found = list(places)
    return math.floor(min(found)), math.ceil(max(found))


def run_lengths(rows: Places, columns: Places, size: tuple[int, int]) -> list[int]:
    """COCO's uncompressed run lengths of an area's pixels, at least one, at a size (height, width): down the columns,
    beginning with pixels outside."""
    height, width = size
    places = np.sort(columns * height + rows)
    ends = np.flatnonzero(np.diff(places) != 1)
    runs = np.stack([places[[0, *(ends + 1)]], places[[*ends, -1]] + 1], axis=1)
    counts: list[int] = np.diff(runs.ravel(), prepend=0, append=height * width).tolist()
    return counts if counts[-1] else counts[:-1]


def filled_runs(counts: Sequence[int], size: tuple[int, int]) -> list[tuple[int, int]]:
    """The area of COCO's run lengths at a size (height, width): stretches [start, end) of its pixels, counted down the
    columns."""
    height, width = size
    runs = np.asarray(counts, dtype=np.int64)
    if runs.ndim != 1 or (runs < 0).any() or (runs > height * width).any() or int(runs.sum()) != height * width:
        raise BadInputError(f"run lengths do not fill {width} x {height} pixels")
    ends = np.cumsum(runs).tolist()
    return list(zip(ends[::2], ends[1::2], strict=False))


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
