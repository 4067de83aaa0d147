"""What one image's prediction and truth have in common: pixels by class, defects found, false calls."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from seamwise.errors import BadInputError, SeamwiseError
from seamwise.vision.components import TOUCHING, find_components


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
        """What `json.dumps` takes, and from which, read back, `from_json` makes an equal record."""
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
    large, false_calls = _regions(called > 0, (truth > 0) | ~valid, min_pixels)
    return ImageCounts(
        confusion=tuple(tuple(row) for row in confusion.reshape(classes, classes).tolist()),
        defects=_defects(truth, np.where(large, called, 0), defect_probability, classes),
        false_calls=false_calls,
        false_calls_per_class=_false_calls_per_class(called, truth, valid, classes, min_pixels),
        score=_image_score(defect_probability, valid, name),
        has_defect=bool(truth.any()),
        name=name,
    )


def _called(answer: NDArray[Any], classes: int) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Class ids (H, W) and the probability of any defect (H, W)."""
    if answer.ndim == 2:
        _check_ids(answer, np.ones(answer.shape, dtype=bool), classes, "a prediction")
        called = answer.astype(np.uint8)
        return called, (called > 0).astype(np.float32)
    if answer.ndim != 3 or len(answer) != classes:
        raise BadInputError(f"a prediction is ({classes}, H, W) probabilities or (H, W) class ids, not {answer.shape}")
    # One pass a class over whole planes: several times faster than argmax along the first axis. Ties: the lowest id.
    best, called = answer[0].copy(), np.zeros(answer.shape[1:], dtype=np.uint8)
    for kind in range(1, classes):
        called[answer[kind] > best] = kind
        np.maximum(best, answer[kind], out=best)
    return called, 1 - answer[0].astype(np.float32)


def _check_ids(ids: NDArray[Any], valid: NDArray[np.bool_], classes: int, name: str) -> None:
    if ids.dtype.kind not in "iub" or (valid & ((ids < 0) | (ids >= classes))).any():
        raise BadInputError(
            f"{name or 'a mask'} holds ids outside 0 to {classes - 1}: check the class list and `ignore`"
        )


def _regions(where: NDArray[np.bool_], explained: NDArray[np.bool_], min_pixels: int) -> tuple[NDArray[np.bool_], int]:
    """The connected regions of at least `min_pixels`, and how many of these have no pixel that is `explained`."""
    labels, n = ndimage.label(where, structure=TOUCHING)
    large = np.bincount(labels.ravel(), minlength=n + 1) >= min_pixels
    large[0] = False
    touches = np.zeros(n + 1, dtype=bool)
    touches[labels[explained]] = True
    return large[labels], int((large & ~touches).sum())


def _false_calls_per_class(
    called: NDArray[np.uint8], truth: NDArray[np.uint8], valid: NDArray[np.bool_], classes: int, min_pixels: int
) -> tuple[int, ...]:
    result = [0] * classes
    boxes = ndimage.find_objects(called, max_label=classes - 1) if classes > 1 else []
    for kind, box in enumerate(boxes, start=1):
        if box is not None:
            explained = (truth[box] == kind) | ~valid[box]
            result[kind] = _regions(called[box] == kind, explained, min_pixels)[1]
    return tuple(result)


def _defects(
    truth: NDArray[np.uint8], called: NDArray[np.uint8], probability: NDArray[np.float32], classes: int
) -> tuple[DefectCount, ...]:
    found = find_components(truth, classes)
    if not len(found):
        return ()
    begins = found.starts[:-1]
    rows, columns = np.divmod(found.pixels, truth.shape[1])
    height = np.maximum.reduceat(rows, begins) - np.minimum.reduceat(rows, begins) + 1
    width = np.maximum.reduceat(columns, begins) - np.minimum.reduceat(columns, begins) + 1
    answers = called.ravel()[found.pixels]
    any_px = np.add.reduceat((answers > 0).astype(np.int64), begins)
    own_px = np.add.reduceat((answers == np.repeat(found.kinds, found.areas)).astype(np.int64), begins)
    peaks = np.maximum.reduceat(probability.ravel()[found.pixels], begins)
    columns_of = (found.kinds, found.areas, np.hypot(height, width), any_px, own_px, peaks)
    return tuple(DefectCount(*row) for row in zip(*(column.tolist() for column in columns_of), strict=True))


def _image_score(probability: NDArray[np.float32], valid: NDArray[np.bool_], name: str) -> float:
    # Nine pixels: one hot pixel of noise is no alarm, and a defect of three pixels still is a third of one.
    smooth = ndimage.uniform_filter(np.where(valid, probability, np.float32(0)), size=3)
    score = float(smooth.max())
    if not math.isfinite(score):
        raise SeamwiseError(f"{name or 'a prediction'} has probabilities that are not numbers: the training diverged")
    return min(max(score, 0.0), 1.0)
