"""Counts of images added up weld by weld, and the statistics that the gate makes of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from seamwise.errors import UsageError
from seamwise.vision.counts import ImageCounts

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Tally:
    """Added counts of many images, ready to be added once more: of each weld, of a resample, or of a whole set.

    numbers: (..., 4 + K * K + 2 K), its leading axes anything: (W,) for welds, (B,) for resamples, none for one sum.
    Every property keeps the leading axes. classes: K, background counted.
    """

    numbers: Array
    classes: int

    @property
    def images(self) -> Array:
        return self.numbers[..., 0]

    @property
    def false_calls(self) -> Array:
        """Called regions without a defect under them."""
        return self.numbers[..., 1]

    @property
    def small(self) -> Array:
        """Small defects of the truth."""
        return self.numbers[..., 2]

    @property
    def small_found(self) -> Array:
        return self.numbers[..., 3]

    @property
    def confusion(self) -> Array:
        """(..., K, K) pixels, rows truth, columns prediction."""
        start, stop = 4, 4 + self.classes**2
        return self.numbers[..., start:stop].reshape(*self.numbers.shape[:-1], self.classes, self.classes)

    @property
    def defects(self) -> Array:
        """(..., K) defects of the truth by class."""
        start = 4 + self.classes**2
        return self.numbers[..., start : start + self.classes]

    @property
    def found(self) -> Array:
        """(..., K) those of them that were detected, whatever class was called."""
        return self.numbers[..., 4 + self.classes**2 + self.classes :]

    def total(self) -> Tally:
        """The sum over all welds."""
        return Tally(self.numbers.sum(axis=0), self.classes)

    def resampled(self, weights: Array) -> Tally:
        """The sums over each resample; weights: (B, W), how often each weld was drawn."""
        return Tally(weights @ self.numbers, self.classes)

    def same_truth(self, other: Tally) -> bool:
        """Whether both were counted against the same masks, as far as the counts can tell."""
        return all(
            np.array_equal(mine, theirs)
            for mine, theirs in (
                (self.images, other.images),
                (self.defects, other.defects),
                (self.small, other.small),
                (self.confusion.sum(axis=-1), other.confusion.sum(axis=-1)),
            )
        )


def tally(
    counts: Sequence[ImageCounts], welds: Mapping[str, str], *, classes: int, small_px: float, overlap: float = 0.1
) -> Tally:
    """Add up the images of each weld, in the order of the welds' names: `Tally` of leading axis (W,).

    welds: the weld of each image by its name; just these images must be there, once each. classes: K of every
    confusion. small_px: defects up to this area are small. overlap: share of a defect's pixels that must be called for
    it to count as detected. Raises UsageError for missing, unknown or repeated images and for another K.
    """
    _check(counts, welds, classes)
    places = {weld: place for place, weld in enumerate(sorted(set(welds.values())))}
    numbers = np.zeros((len(places), 4 + classes**2 + 2 * classes))
    for image in counts:
        row = numbers[places[welds[image.name]]]
        row[:2] += 1, image.false_calls
        row[4 : 4 + classes**2] += np.ravel(image.confusion)
        defects, found = row[4 + classes**2 :].reshape(2, classes)
        for defect in image.defects:
            hit, small = defect.detected(overlap), defect.area_px <= small_px
            defects[defect.kind] += 1
            found[defect.kind] += hit
            row[2:4] += small, small and hit
    return Tally(numbers, classes)


def _check(counts: Sequence[ImageCounts], welds: Mapping[str, str], classes: int) -> None:
    names = [image.name for image in counts]
    if len(set(names)) != len(names) or set(names) != welds.keys():
        odd = sorted({name for name in names if names.count(name) > 1} | (set(names) ^ welds.keys()))
        raise UsageError(
            f"counts of {len(names)} images do not fit the set of {len(welds)}: {', '.join(map(repr, odd[:5]))} "
            f"missing, unknown or twice; evaluate the model on the whole set again"
        )
    for image in counts:
        if len(image.confusion) != classes:
            raise UsageError(
                f"image {image.name!r} was counted with {len(image.confusion)} classes but the set has {classes}: "
                "evaluate the model with the set's class list"
            )


@dataclass(frozen=True)
class Statistic:
    """A figure of added counts, and what it is a figure of.

    value: takes a Tally and keeps its leading axes. base: how much of what is judged the truth holds; where it is 0
    there is nothing to judge. It may depend on the truth alone, so that it is equal for all models. events: whether
    the base counts things that happen or not (a defect found, a false call in an image) rather than pixels.
    """

    key: str
    value: Callable[[Tally], Array]
    base: Callable[[Tally], Array]
    higher_is_better: bool = True
    events: bool = False


def ratio(part: Array, whole: Array) -> Array:
    """part / whole, NaN where the whole is 0."""
    nothing = np.full(np.shape(whole), np.nan)
    return np.asarray(np.divide(part, whole, out=nothing, where=np.asarray(whole) > 0))


def _defect_iou(sums: Tally) -> Array:
    confusion = sums.confusion
    return ratio(confusion[..., 1:, 1:].sum(axis=(-2, -1)), confusion.sum(axis=(-2, -1)) - confusion[..., 0, 0])


DEFECT_IOU = Statistic("defect_iou", _defect_iou, lambda sums: sums.confusion[..., 1:, :].sum(axis=(-2, -1)))
DEFECT_RECALL = Statistic(
    "defect_recall",
    lambda sums: ratio(sums.found.sum(axis=-1), sums.defects.sum(axis=-1)),
    lambda sums: sums.defects.sum(axis=-1),
    events=True,
)
SMALL_RECALL = Statistic(
    "small_recall", lambda sums: ratio(sums.small_found, sums.small), lambda sums: sums.small, events=True
)
FALSE_CALLS = Statistic(
    "false_calls",
    lambda sums: ratio(sums.false_calls, sums.images),
    lambda sums: sums.images,
    higher_is_better=False,
    events=True,
)


def class_iou(kind: int) -> Statistic:
    """IoU of one class, over the sums whose truth holds it."""

    def value(sums: Tally) -> Array:
        confusion = sums.confusion
        hits = confusion[..., kind, kind]
        return ratio(hits, confusion[..., kind, :].sum(axis=-1) + confusion[..., :, kind].sum(axis=-1) - hits)

    return Statistic("class_iou", value, lambda sums: sums.confusion[..., kind, :].sum(axis=-1))
