"""Finding places for labels beside points so that no label covers another label, a point or the edge."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from seamwise.figures.typeset import shorten, text_width

Spot = tuple[float, float]
# Right first, then left, above, below, then the slanting ones: the order a reader looks in.
_ANGLES = (0, 180, -90, 90, -35, 35, -145, 145, -60, 60, -120, 120, -15, 15, -165, 165)
_DISTANCES = (9.0, 14.0, 22.0, 34.0, 50.0, 70.0, 95.0, 125.0, 160.0, 200.0)


@dataclass(frozen=True)
class Box:
    """An upright rectangle in pixels, y downwards."""

    left: float
    top: float
    right: float
    bottom: float

    def meets(self, other: Box) -> bool:
        """Whether the two share any area."""
        return (
            self.left < other.right and other.left < self.right and self.top < other.bottom and other.top < self.bottom
        )

    def inside(self, other: Box) -> bool:
        """Whether this box lies wholly within the other."""
        return (
            self.left >= other.left
            and self.right <= other.right
            and self.top >= other.top
            and self.bottom <= other.bottom
        )


@dataclass(frozen=True)
class Placed:
    """Where a label went: its box, its text as shown, and the line back to its point if it had to move away."""

    box: Box
    shown: str
    leader: tuple[Spot, Spot] | None


def place_labels(
    anchors: Mapping[str, Spot], marks: Sequence[Box], bars: Sequence[Box], bounds: Box, size: float
) -> dict[str, Placed]:
    """Places for the names of points, most crowded point first; a name without any free place is left out.

    anchors: pixel of each name's point. marks: what labels must not cover. bars: what they should rather not cover.
    """
    placed: dict[str, Placed] = {}
    for name in sorted(anchors, key=lambda n: -_crowd(anchors[n], anchors)):
        best, best_cost = None, math.inf
        for cost, spot in _candidates(name, anchors[name], size):
            if cost >= best_cost or not spot.box.inside(bounds) or not _free(spot, placed, marks):
                continue
            crossed = sum(spot.box.meets(bar) for bar in bars)
            if cost + 12 * crossed < best_cost:
                best, best_cost = spot, cost + 12 * crossed
        if best is not None:
            placed[name] = best
    return {name: placed[name] for name in anchors if name in placed}


def _crowd(here: Spot, anchors: Mapping[str, Spot]) -> int:
    return sum(math.dist(here, there) < 80 for there in anchors.values())


def _candidates(name: str, anchor: Spot, size: float) -> list[tuple[float, Placed]]:
    shown = shorten(name, 170, size)
    width, height = text_width(shown, size) + 2, size + 4
    found = []
    for distance in _DISTANCES:
        for rank, angle in enumerate(_ANGLES):
            dx, dy = math.cos(math.radians(angle)), math.sin(math.radians(angle))
            edge_x, edge_y = anchor[0] + distance * dx, anchor[1] + distance * dy
            left, top = edge_x - width / 2 * (1 - dx), edge_y - height / 2 * (1 - dy)
            box = Box(left, top, left + width, top + height)
            end = (min(max(anchor[0], box.left), box.right), min(max(anchor[1], box.top), box.bottom))
            found.append((distance + 0.4 * rank, Placed(box, shown, (anchor, end) if distance > 16 else None)))
    return found


def _free(spot: Placed, placed: Mapping[str, Placed], marks: Sequence[Box]) -> bool:
    if any(spot.box.meets(mark) for mark in marks):
        return False
    if any(spot.box.meets(other.box) for other in placed.values()):
        return False
    if any(_crosses(other.leader, spot.box) for other in placed.values()):
        return False
    return not any(_crosses(spot.leader, other.box) for other in placed.values())


def _crosses(leader: tuple[Spot, Spot] | None, box: Box) -> bool:
    if leader is None:
        return False
    (x1, y1), (x2, y2) = leader
    steps = [k / 24 for k in range(25)]
    return any(box.left < x1 + t * (x2 - x1) < box.right and box.top < y1 + t * (y2 - y1) < box.bottom for t in steps)
