"""How good the masks of a network are: counts of each image once, and every statistic from those counts later."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seamwise.errors import UsageError
from seamwise.vision.counts import DefectCount, ImageCounts, count_image

__all__ = ["DefectCount", "ImageCounts", "Scores", "SizeRecall", "count_image", "summarise"]


@dataclass(frozen=True)
class SizeRecall:
    """Detected share of the defects with an area of `above_px` < area <= `up_to_px` (None: no limit)."""

    above_px: float
    up_to_px: float | None
    defects: int
    recall: float | None


@dataclass(frozen=True)
class Scores:
    """Statistics of a set of images, all from 0 to 1 but the false calls; None where there is nothing to judge.

    Pixel counts of all images are added before any ratio is taken (the field's dataset-level IoU).
    iou_per_class, dice_per_class: background first; None for a class that neither the truth nor the prediction holds,
    which the means leave out. mean_iou, mean_dice: with the background; mean_defect_class_iou: without it.
    defect_iou, defect_dice: all defect classes as one against the background. pixel_accuracy: right pixels.
    defects: how many there are. defect_recall: share of them detected, whatever class was called; named_recall:
    detected by pixels of their own class. recall_per_class: of `defect_recall`, background's place is None.
    recall_by_size: the same by area. false_calls_per_image: called regions without a defect under them.
    auroc: images with a defect against images without, by their score. recall_at_far: share of the images with
    a defect that are found when at most `far` of the images without one raise an alarm.
    """

    images: int
    defects: int
    iou_per_class: tuple[float | None, ...]
    dice_per_class: tuple[float | None, ...]
    mean_iou: float | None
    mean_defect_class_iou: float | None
    mean_dice: float | None
    defect_iou: float | None
    defect_dice: float | None
    pixel_accuracy: float | None
    defect_recall: float | None
    named_recall: float | None
    recall_per_class: tuple[float | None, ...]
    recall_by_size: tuple[SizeRecall, ...]
    false_calls_per_image: float
    false_calls_per_class: tuple[float, ...]
    auroc: float | None
    recall_at_far: float | None
    far: float
    overlap: float

    def to_json(self) -> dict[str, Any]:
        """What `json.dumps` takes: numbers, None, and these nested."""
        return asdict(self)


def summarise(
    counts: Sequence[ImageCounts],
    *,
    overlap: float = 0.1,
    far: float = 0.1,
    size_edges_px: Sequence[float] | None = None,
) -> Scores:
    """Scores of a set of images.

    overlap: share of a defect's pixels that must be called for it to count as detected. far: false alarm rate of
    `recall_at_far`. size_edges_px: areas that part the bins of `recall_by_size`; None parts this set's defects into
    thirds. Raises UsageError for no images or for images counted with different numbers of classes.
    """
    classes = {len(image.confusion) for image in counts}
    if len(classes) != 1:
        raise UsageError(
            f"scores need images of one class set, not {sorted(classes) or 'none'}: count some images alike"
        )
    confusion = np.sum([image.confusion for image in counts], axis=0)
    defects = [defect for image in counts for defect in image.defects]
    ious, dices = overlaps(confusion)
    defect_iou, defect_dice = overlaps(_two_classes(confusion))
    found = [defect.detected(overlap) for defect in defects]
    positive = [image.score for image in counts if image.has_defect]
    negative = [image.score for image in counts if not image.has_defect]
    return Scores(
        images=len(counts),
        defects=len(defects),
        iou_per_class=ious,
        dice_per_class=dices,
        mean_iou=mean(ious),
        mean_defect_class_iou=mean(ious[1:]),
        mean_dice=mean(dices),
        defect_iou=defect_iou[1],
        defect_dice=defect_dice[1],
        pixel_accuracy=_ratio(np.trace(confusion), confusion.sum()),
        defect_recall=mean(found),
        named_recall=mean([defect.named(overlap) for defect in defects]),
        recall_per_class=tuple(
            mean([hit for hit, defect in zip(found, defects, strict=True) if defect.kind == kind])
            for kind in range(len(confusion))
        ),
        recall_by_size=recall_by_size(defects, found, size_edges_px),
        false_calls_per_image=sum(image.false_calls for image in counts) / len(counts),
        false_calls_per_class=tuple(np.mean([image.false_calls_per_class for image in counts], axis=0).tolist()),
        auroc=auroc(positive, negative),
        recall_at_far=recall_at_far(positive, negative, far),
        far=far,
        overlap=overlap,
    )


def overlaps(confusion: NDArray[np.int64]) -> tuple[tuple[float | None, ...], tuple[float | None, ...]]:
    """IoU and Dice of each class from a (K, K) confusion (rows truth, columns prediction); None where both lack it."""
    hits, truth, predicted = np.diag(confusion), confusion.sum(axis=1), confusion.sum(axis=0)
    ious = tuple(_ratio(h, t + p - h) for h, t, p in zip(hits, truth, predicted, strict=True))
    dices = tuple(_ratio(2 * h, t + p) for h, t, p in zip(hits, truth, predicted, strict=True))
    return ious, dices


def auroc(positive: Sequence[float], negative: Sequence[float]) -> float | None:
    """Probability that a positive outscores a negative, ties counting half (Mann-Whitney U); None if one is empty."""
    if not positive or not negative:
        return None
    ordered = np.sort(negative)
    below, up_to = (np.searchsorted(ordered, positive, side) for side in ("left", "right"))
    return float((below + up_to).sum() / (2 * len(positive) * len(negative)))


def recall_at_far(positive: Sequence[float], negative: Sequence[float], far: float) -> float | None:
    """The largest share of positives above a threshold that at most `far` of the negatives exceed."""
    if not positive or not negative:
        return None
    allowed = math.floor(far * len(negative) + 1e-9)  # .29 * 100 is 28.999...
    if allowed >= len(negative):
        return 1.0
    threshold = sorted(negative, reverse=True)[allowed]
    return float(np.mean(np.asarray(positive) > threshold))


def recall_by_size(
    defects: Sequence[DefectCount], found: Sequence[bool], edges_px: Sequence[float] | None = None
) -> tuple[SizeRecall, ...]:
    """Detected share by area; the bins part at `edges_px`, or at the thirds of these defects."""
    areas = np.array([defect.area_px for defect in defects], dtype=np.int64)
    if edges_px is None:
        # An edge is a size that occurs, so equal defects are never parted.
        edges_px = np.quantile(areas, [1 / 3, 2 / 3], method="inverted_cdf").tolist() if len(areas) else []
    limits: list[float | None] = [*sorted({float(edge) for edge in edges_px}), None]
    bins, low = [], 0.0
    for high in limits:
        inside = (areas > low) & (areas <= (math.inf if high is None else high))
        bins.append(SizeRecall(low, high, int(inside.sum()), mean(np.asarray(found, dtype=bool)[inside].tolist())))
        low = high if high is not None else low
    return tuple(bins)


def mean(values: Sequence[float | None]) -> float | None:
    """Arithmetic mean of those that are not None; None if there is none."""
    known = [float(value) for value in values if value is not None]
    return math.fsum(known) / len(known) if known else None


def _two_classes(confusion: NDArray[np.int64]) -> NDArray[np.int64]:
    background = np.arange(len(confusion)) > 0
    rows = np.stack([confusion[~background].sum(axis=0), confusion[background].sum(axis=0)])
    return np.stack([rows[:, ~background].sum(axis=1), rows[:, background].sum(axis=1)], axis=1)


def _ratio(part: np.int64, whole: np.int64) -> float | None:
    return float(part) / float(whole) if whole > 0 else None
