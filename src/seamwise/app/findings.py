"""What a predicted mask shows, in words and numbers: its defects one by one, and how sure the answer is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from seamwise.vision.components import TOUCHING, find_components

MIN_PIXELS = 3  # smaller regions are no calls, here as in scores
MOST_LISTED = 200  # the largest; a network that calls noise must not make answers of megabytes
_SUSPECTED = 0.1

Mask = NDArray[np.uint8]
Probabilities = NDArray[np.float32]


@dataclass(frozen=True)
class Defect:
    """A connected region of one class. box: (left, top, width, height) in pixels. probability: the largest in it."""

    class_name: str
    area_px: int
    area_mm2: float | None
    box: tuple[int, int, int, int]
    probability: float

    def to_json(self) -> dict[str, Any]:
        return {
            "class": self.class_name,
            "area_px": self.area_px,
            "area_mm2": self.area_mm2,
            "box": list(self.box),
            "probability": self.probability,
        }


def find_defects(
    mask: Mask, probabilities: Probabilities, classes: Sequence[str], pitch_mm: float | None = None
) -> tuple[list[Defect], int]:
    """The largest regions of at least `MIN_PIXELS` pixels, largest first, and how many more there are.

    mask: (H, W) class ids; probabilities: (K, H, W).
    """
    found = find_components(mask, len(classes))
    areas = found.areas
    order = np.argsort(-areas, kind="stable")[: np.count_nonzero(areas >= MIN_PIXELS)]
    if not len(order):
        return [], 0
    begins = found.starts[:-1]
    rows, columns = np.divmod(found.pixels, mask.shape[1])
    top, left = np.minimum.reduceat(rows, begins), np.minimum.reduceat(columns, begins)
    height = np.maximum.reduceat(rows, begins) - top + 1
    width = np.maximum.reduceat(columns, begins) - left + 1
    own = probabilities.reshape(len(classes), -1)[np.repeat(found.kinds, areas), found.pixels]
    peaks = np.maximum.reduceat(own, begins)
    listed = [
        Defect(
            class_name=classes[found.kinds[n]],
            area_px=int(areas[n]),
            area_mm2=None if pitch_mm is None else round(float(areas[n]) * pitch_mm**2, 6),
            box=(int(left[n]), int(top[n]), int(width[n]), int(height[n])),
            probability=round(float(peaks[n]), 4),
        )
        for n in order[:MOST_LISTED].tolist()
    ]
    return listed, len(order) - len(listed)


def confidence_of(probabilities: Probabilities) -> float:
    """How clearly an image says yes or no, from 0.5 to 1: as the least clear of its places does.

    A place is a connected region where a defect is at least suspected (probability of any defect 0.1 and more, averaged
    over 3 x 3 pixels): a peak of 0.97 is a clear yes, of 0.12 a clear no, of 0.5 as unclear as can be. The edges of a
    clear defect belong to its place, so they make nothing unclear.
    """
    defect: Probabilities = ndimage.uniform_filter(1 - probabilities[0], size=3)
    labels, count = ndimage.label(defect >= _SUSPECTED, structure=TOUCHING)
    if not count:
        return round(float(np.clip(1 - defect.max(), 0.5, 1)), 4)
    highest = np.zeros(count + 1, defect.dtype)
    np.maximum.at(highest, labels.ravel(), defect.ravel())  # scipy's own sorts every pixel first
    peaks = highest[1:]
    return round(float(np.clip(np.maximum(peaks, 1 - peaks).min(), 0.5, 1)), 4)
