"""The shadow of one defect: how much steel it takes from each ray, and which pixels it touches.

A `Stencil` is a small drawing board in picture coordinates (mm). Voids of any size keep their volume on it, however
much smaller than a pixel they are, so that contrast stays right at every pitch.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from seamwise.vision.welds.seam import Doubles, Floats

_SUPER = 4  # samples across a pixel for shapes with an outline


@dataclass(frozen=True)
class Shadow:
    """A defect in a picture: class id, ISO 6520-1 code, where it lies, steel lost (mm), pixels touched, what was drawn.

    `around_mm` is what its cause left out of the weld's shape around it (a missing root bead): no part of the defect.
    """

    kind: int
    code: str
    rows: slice
    cols: slice
    lost_mm: Floats
    around_mm: Floats
    covered: NDArray[np.bool_]
    facts: dict[str, object] = field(default_factory=dict)


def _reach(a: float, b: float, turn: float) -> tuple[float, float]:
    """Half the width and height of the box around a turned ellipse."""
    return float(np.hypot(a * np.cos(turn), b * np.sin(turn))), float(np.hypot(a * np.sin(turn), b * np.cos(turn)))


class Stencil:
    """A drawing board over a rectangle of the picture.

    box_mm: (left, top, right, bottom), clipped to the picture of `shape` pixels at `pitch_mm`. `blur_mm` is the
    unsharpness: a slit narrower than that casts a shadow with a penumbra as wide, which counts as touched.
    """

    def __init__(
        self, box_mm: tuple[float, float, float, float], shape: tuple[int, int], pitch_mm: float, blur_mm: float = 0.0
    ) -> None:
        low = [int(np.floor(edge / pitch_mm)) for edge in box_mm[:2]]
        high = [int(np.ceil(edge / pitch_mm)) + 1 for edge in box_mm[2:]]
        self.left, self.top = (min(max(edge, 0), size) for edge, size in zip(low, shape[::-1], strict=True))
        right, bottom = (min(max(edge, 0), size) for edge, size in zip(high, shape[::-1], strict=True))
        self.height, self.width = max(bottom - self.top, 0), max(right - self.left, 0)
        self.pitch_mm, self.blur_mm = pitch_mm, blur_mm
        self.lost_mm: Floats = np.zeros((self.height, self.width), np.float32)
        self.around_mm = np.zeros_like(self.lost_mm)
        self.covered: NDArray[np.bool_] = np.zeros((self.height, self.width), np.bool_)

    def ellipsoid(
        self, x: float, y: float, half: tuple[float, float, float], turn: float = 0.0, part: float = 1.0
    ) -> None:
        """An ellipsoid at (x, y): half axes (first, second, along the ray), first axis turned by `turn` radians.

        The steel lost is its chord 2 c sqrt(1 - r^2); `part` is the share of a void's contrast that its filling leaves.
        """
        a, b, c = half
        wide, tall = _reach(a, b, turn)
        window = self._window(x - wide, y - tall, x + wide, y + tall)
        if window is None:
            return
        rows, cols, px, py = window
        along = (px - x) * np.cos(turn) + (py - y) * np.sin(turn)
        beside = (py - y) * np.cos(turn) - (px - x) * np.sin(turn)
        chord = 2 * c * np.sqrt(np.clip(1 - (along / a) ** 2 - (beside / b) ** 2, 0, None))
        self._put(
            rows, cols, chord * part, exact_volume=4 / 3 * np.pi * a * b * c * part, small=max(a, b) < self.pitch_mm
        )

    def ragged(
        self, x: float, y: float, half: tuple[float, float, float], turn: float, rng: np.random.Generator, part: float
    ) -> None:
        """An angular patch with corners at random radii, uneven inside, steep at its rim; arguments of `ellipsoid`."""
        a, b, c = half
        wide, tall = _reach(1.4 * a, 1.4 * b, turn)
        window = self._window(x - wide, y - tall, x + wide, y + tall)
        if window is None:
            return
        rows, cols, px, py = window
        along = ((px - x) * np.cos(turn) + (py - y) * np.sin(turn)) / a
        beside = ((py - y) * np.cos(turn) - (px - x) * np.sin(turn)) / b
        corners = int(rng.integers(6, 12))
        angle = np.sort(rng.uniform(-np.pi, np.pi, corners))
        radius = np.clip(rng.normal(0.95, 0.22, corners), 0.45, 1.4)
        outline = np.interp(np.arctan2(beside, along), angle, radius, period=2 * np.pi)
        inward = outline - np.hypot(along, beside)
        uneven = 0.75 + 0.25 * np.cos(3.1 * along + rng.uniform(0, 6)) * np.cos(2.3 * beside + rng.uniform(0, 6))
        uneven += 0.2 * np.cos(6.7 * along + 5.1 * beside + rng.uniform(0, 6))
        self._put(rows, cols, 2 * c * part * uneven * np.clip(inward * 3, 0, 1) ** 0.6)

    def slit(self, x: Doubles, y: Doubles, area_mm2: Doubles, wide_mm: Doubles) -> None:
        """A thin gap along a path of points (N,): cross-section `area_mm2` seen `wide_mm` wide at each point.

        Steel lost is spread over the width so that the cross-section is kept, however narrow the gap.
        """
        if x.size < 2 or self.lost_mm.size == 0:
            return
        dx, dy = np.gradient(x), np.gradient(y)
        step = np.maximum(np.hypot(dx, dy), 1e-9)
        across = np.stack([-dy, dx]) / step
        self._strew(x, y, across, wide_mm, area_mm2 * step)
        touched = np.maximum(wide_mm, self.blur_mm) + self.pitch_mm / 2
        lanes = max(3, int(np.ceil(2 * touched.max() / self.pitch_mm)) | 1)
        for lane in np.linspace(-0.5, 0.5, lanes):
            keep = area_mm2 > 0
            cols = ((x + across[0] * lane * touched)[keep] / self.pitch_mm).astype(np.intp) - self.left
            rows = ((y + across[1] * lane * touched)[keep] / self.pitch_mm).astype(np.intp) - self.top
            fits = (rows >= 0) & (rows < self.height) & (cols >= 0) & (cols < self.width)
            self.covered[rows[fits], cols[fits]] = True

    def band(
        self, across_mm: Floats, low_mm: Doubles, high_mm: Doubles, depth_mm: Floats | Doubles, rim: float
    ) -> None:
        """A strip that follows the weld, between two offsets from its centre for each column.

        across_mm: (h, w) distance from the weld's centre on this board; low_mm, high_mm: (w,); depth_mm: (w,) or (h, w)
        steel lost; rim: width in mm over which the depth sets in at both edges, 0 for parallel sharp ones.
        """
        if self.lost_mm.size == 0:
            return
        inside = np.minimum(across_mm - low_mm, high_mm - across_mm)
        soft = max(rim, self.pitch_mm)
        share = np.clip(inside / soft + (0.5 if rim < self.pitch_mm else 0.0), 0, 1)
        self.lost_mm += (share * depth_mm).astype(np.float32)
        self.covered |= (share > 0) & (depth_mm > 0)

    def finish(self, kind: int, code: str, **facts: object) -> Shadow | None:
        """The shadow drawn so far, or None when nothing of it lies in the picture."""
        if not self.covered.any():
            return None
        rows, cols = slice(self.top, self.top + self.height), slice(self.left, self.left + self.width)
        return Shadow(kind, code, rows, cols, self.lost_mm, self.around_mm, self.covered, dict(facts))

    def _window(self, x0: float, y0: float, x1: float, y1: float) -> tuple[slice, slice, Doubles, Doubles] | None:
        """Rows, columns and finely spaced coordinates of the part of the board a shape may touch."""
        cols = slice(
            max(int(x0 / self.pitch_mm) - self.left, 0), min(int(x1 / self.pitch_mm) + 1 - self.left, self.width)
        )
        rows = slice(
            max(int(y0 / self.pitch_mm) - self.top, 0), min(int(y1 / self.pitch_mm) + 1 - self.top, self.height)
        )
        if cols.stop <= cols.start or rows.stop <= rows.start:
            return None
        fine = (np.arange((cols.stop - cols.start) * _SUPER) + 0.5) / _SUPER + cols.start + self.left
        high = (np.arange((rows.stop - rows.start) * _SUPER) + 0.5) / _SUPER + rows.start + self.top
        return rows, cols, fine[None, :] * self.pitch_mm, high[:, None] * self.pitch_mm

    def _put(self, rows: slice, cols: slice, depth: Doubles, exact_volume: float = 0.0, small: bool = False) -> None:
        """Average finely drawn depths into pixels; a void near a pixel's size keeps its volume, not its samples."""
        tall, wide = depth.shape[0] // _SUPER, depth.shape[1] // _SUPER
        cells = depth.reshape(tall, _SUPER, wide, _SUPER).mean((1, 3))
        if small and cells.sum() > 0:
            cells = cells * exact_volume / (cells.sum() * self.pitch_mm**2)
        self.lost_mm[rows, cols] += cells.astype(np.float32)
        self.covered[rows, cols] |= cells > 0

    def _strew(self, x: Doubles, y: Doubles, across: Doubles, wide_mm: Doubles, volume_mm3: Doubles) -> None:
        """Give each point's volume to the four pixels around it, in as many lanes as the gap is pixels wide."""
        lanes = max(1, int(np.ceil(2 * wide_mm.max() / self.pitch_mm)))
        flat = np.zeros(self.lost_mm.size)
        for lane in (np.arange(lanes) + 0.5) / lanes - 0.5:
            col = (x + across[0] * lane * wide_mm) / self.pitch_mm - 0.5 - self.left
            row = (y + across[1] * lane * wide_mm) / self.pitch_mm - 0.5 - self.top
            c0, r0 = np.floor(col).astype(np.intp), np.floor(row).astype(np.intp)
            for dr, dc in ((0, 0), (0, 1), (1, 0), (1, 1)):
                weight = np.abs(1 - dr - (row - r0)) * np.abs(1 - dc - (col - c0))
                rows, cols = r0 + dr, c0 + dc
                fits = (rows >= 0) & (rows < self.height) & (cols >= 0) & (cols < self.width)
                where = rows[fits] * self.width + cols[fits]
                flat += np.bincount(where, (weight * volume_mm3)[fits], flat.size)
        self.lost_mm += (flat / lanes / self.pitch_mm**2).reshape(self.lost_mm.shape).astype(np.float32)
