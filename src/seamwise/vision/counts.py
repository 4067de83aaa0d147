"""What one image's prediction and truth have in common: pixels by class, defects found, false calls."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from seamwise.errors import BadInputError
from seamwise.vision.components import TOUCHING, Components, find_components


@dataclass(frozen=True)
class DefectCount:
    """One defect of the truth: a connected component of one class (corners touch).

    kind: its class. area_px, length_px: pixels in it, and the diagonal of its bounding box. called_px: pixels of it
    that were called as any defect; named_px: as its own class. peak: the largest defect probability on it, the
    signal that a probability-of-detection curve is fitted to.
    """

    kind: int
    area_px: int
    length_px: float
    called_px: int
    named_px: int
    peak: float

    def detected(self, overlap: float = 0.1) -> bool:
        """Whether at least this share of its pixels was called, and at least one.

        Coverage of the defect, not IoU: drawn outlines of defects a few pixels wide vary by as much as the defect,
        and an inspector needs the place. How well outlines agree is what IoU and Dice tell.
        """
        return self.called_px > 0 and self.called_px >= overlap * self.area_px

    def named(self, overlap: float = 0.1) -> bool:
        """The same, by pixels of its own class alone."""
        return self.named_px > 0 and self.named_px >= overlap * self.area_px


@dataclass(frozen=True)
class ImageCounts:
    """Everything that scores need of one image; plain numbers that can be stored and added up in other ways later.

    confusion: (K, K) pixels, rows truth, columns prediction; ignored pixels are in neither. defects: those of the
    truth. false_calls: called regions (all classes as one) that touch no defect and no ignored pixel;
    false_calls_per_class: regions of one class that touch neither that class nor an ignored pixel, background's place
    is 0. score: the largest defect probability in the image, averaged over 3 x 3 pixels. has_defect: whether the
    truth holds one. name: of the image.
    """

    confusion: tuple[tuple[int, ...], ...]
    defects: tuple[DefectCount, ...]
    false_calls: int
    false_calls_per_class: tuple[int, ...]
    score: float
    has_defect: bool
    name: str = ""

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values, from which `from_json` makes an equal record."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> ImageCounts:
        return cls(
            confusion=tuple(tuple(row) for row in value["confusion"]),
            defects=tuple(DefectCount(**defect) for defect in value["defects"]),
            false_calls=value["false_calls"],
            false_calls_per_class=tuple(value["false_calls_per_class"]),
            score=value["score"],
            has_defect=value["has_defect"],
            name=value["name"],
        )


def count_image(
    prediction: ArrayLike,
    mask: ArrayLike,
    *,
    classes: int,
    ignore: int | None = None,
    min_pixels: int = 3,
    name: str = "",
) -> ImageCounts:
    """Compare one image's prediction with its truth.

    prediction: (K, H, W) probabilities, of which the largest wins, or (H, W) class ids, whose probabilities count as
    0 and 1; arrays or CPU tensors. mask: (H, W) class ids below `classes`, or `ignore`. min_pixels: smaller called
    regions are no calls, neither false ones nor detections (the confusion keeps them). Raises BadInputError for
    shapes or ids that do not fit.
    """
    answer, truth = np.asarray(prediction), np.asarray(mask)
    called, defect_probability = _called(answer, classes)
    if called.shape != truth.shape:
        raise BadInputError(f"{name or 'an image'}: the prediction is {called.shape} but the mask {truth.shape} pixels")
    valid = np.ones(truth.shape, dtype=bool) if ignore is None else truth != ignore
    _check_ids(truth, valid, classes, name)
    truth = np.where(valid, truth, 0).astype(np.uint8)
    confusion = np.bincount(truth[valid].astype(np.int64) * classes + called[valid], minlength=classes * classes)
    large, false_calls = _regions(called > 0, (truth > 0) | ~valid, ~valid, min_pixels)
    return ImageCounts(
        confusion=tuple(tuple(row) for row in confusion.reshape(classes, classes).tolist()),
        defects=_defects(find_components(truth, classes), truth.shape[1], np.where(large, called, 0), defect_probability),
        false_calls=false_calls,
        false_calls_per_class=tuple(_false_calls_of(kind, called, truth, valid, min_pixels) for kind in range(classes)),
        score=_image_score(defect_probability, valid),
        has_defect=bool(truth.any()),
        name=name,
    )
