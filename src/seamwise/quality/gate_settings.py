"""What the gate asks of a candidate."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from types import NoneType
from typing import get_args, get_type_hints

from seamwise.errors import UsageError

_NOT_NEGATIVE = (
    *("defect_iou_loss", "class_iou_loss", "defect_recall_loss", "small_recall_loss", "false_call_rise", "forgetting"),
    *("least_defect_iou", "least_defect_recall", "most_false_calls", "seed"),
)


@dataclass(frozen=True)
class GateSettings:
    """Allowed losses, minimums, and how sure a verdict must be.

    The losses (for false calls: the rise per image) are tolerated against production and against the best accepted
    version; `forgetting` is of the mean defect IoU over the old domains. The minimums hold on domains where nothing
    was accepted yet; None asks for none. confidence: of each interval. power: with which `detectable` would be seen.
    resamples, seed: of the bootstrap. overlap: share of a defect's pixels that makes it found. small_share: this share
    of a set's defects, the smallest, are its small ones. Raises UsageError for values without a meaning.
    """

    defect_iou_loss: float = 0.05
    class_iou_loss: float = 0.1
    defect_recall_loss: float = 0.1
    small_recall_loss: float = 0.15
    false_call_rise: float = 0.5
    forgetting: float = 0.05
    least_defect_iou: float | None = 0.3
    least_defect_recall: float | None = 0.5
    most_false_calls: float | None = 2.0
    confidence: float = 0.95
    power: float = 0.8
    resamples: int = 2000
    seed: int = 0
    overlap: float = 0.1
    small_share: float = 1 / 3

    def __post_init__(self) -> None:
        for name, kind in get_type_hints(GateSettings).items():
            value = getattr(self, name)
            if value is None and NoneType in get_args(kind):
                continue
            number = isinstance(value, int if kind is int else int | float) and not isinstance(value, bool)
            if not number or not abs(value) <= sys.float_info.max:
                raise UsageError(f"{name} is {value!r}: give a {'whole ' if kind is int else ''}number")
        for name in _NOT_NEGATIVE:
            value = getattr(self, name)
            if value is not None and not value >= 0:
                raise UsageError(f"{name} is {value}: give 0 or more")
        for name, low in (("confidence", 0.5), ("power", 0.5), ("overlap", 0.0), ("small_share", 0.0)):
            if not low < getattr(self, name) < 1:
                raise UsageError(f"{name} is {getattr(self, name)}: choose a number above {low:g} and below 1")
        if self.resamples < 500:
            raise UsageError(f"resamples is {self.resamples}: the ends of an interval need at least 500")

    @property
    def allowed(self) -> dict[str, float]:
        """The tolerated loss by the key of the statistic."""
        return {
            "defect_iou": self.defect_iou_loss,
            "class_iou": self.class_iou_loss,
            "defect_recall": self.defect_recall_loss,
            "small_recall": self.small_recall_loss,
            "false_calls": self.false_call_rise,
        }

    @property
    def minimum(self) -> dict[str, float | None]:
        """What a first model must reach (of false calls: not exceed) by the key of the statistic."""
        return {
            "defect_iou": self.least_defect_iou,
            "defect_recall": self.least_defect_recall,
            "false_calls": self.most_false_calls,
        }
