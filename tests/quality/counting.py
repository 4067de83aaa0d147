"""Counts of made-up models, for the tests of the gate and its bootstrap."""

from __future__ import annotations

import numpy as np

from seamwise.vision.counts import DefectCount, ImageCounts


def image(name: str, defects: list[tuple[int, int, int]], false_calls: int = 0, classes: int = 2) -> ImageCounts:
    """An image of 10,000 pixels; defects: (class, area, pixels called as that class); a false call has 10 pixels."""
    confusion = np.zeros((classes, classes), dtype=int)
    for kind, area, called in defects:
        confusion[kind, kind] += called
        confusion[kind, 0] += area - called
    confusion[0, 1] = 10 * false_calls
    confusion[0, 0] = 10_000 - confusion.sum()
    return ImageCounts(
        confusion=tuple(tuple(row) for row in confusion.tolist()),
        defects=tuple(DefectCount(kind, area, 1.0, called, called, 1.0) for kind, area, called in defects),
        false_calls=false_calls,
        false_calls_per_class=(0,) * classes,
        score=1.0,
        has_defect=bool(defects),
        name=name,
    )


def answers(
    quality: float, welds: int = 60, *, seed: int = 0, noise: float = 0.02, classes: int = 2, false_calls: int = 0
) -> list[ImageCounts]:
    """One image a weld with one large and one small defect, of which about `quality` of the pixels is called."""
    truth, rng = np.random.default_rng(1), np.random.default_rng([2, seed])
    images = []
    for number in range(welds):
        areas = (int(truth.integers(300, 500)), 20)
        share = np.clip(quality + truth.normal(0, 0.05) + rng.normal(0, noise), 0.0, 1.0)
        kind = 1 + number % (classes - 1)
        defects = [(kind, area, round(area * float(share))) for area in areas]
        images.append(image(f"{number:03d}", defects, false_calls, classes))
    return images
