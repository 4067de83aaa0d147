"""One domain's qualification set and the models that answered it, all summed over the same resamples of its welds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from seamwise.errors import UsageError
from seamwise.quality.bootstrap import Draws, draw_weights, draws_of, estimate
from seamwise.quality.checks import Against, Check, Subject, check
from seamwise.quality.gate_settings import GateSettings
from seamwise.quality.tally import (
    DEFECT_IOU,
    DEFECT_RECALL,
    FALSE_CALLS,
    SMALL_RECALL,
    Statistic,
    Tally,
    class_iou,
    tally,
)
from seamwise.vision.counts import ImageCounts


@dataclass(frozen=True)
class QualificationSet:
    """The frozen images of a domain on which models are judged.

    welds: the weld (or part) of each image by the image's name. classes: names by class id, background first.
    small_px: area up to which a defect is small; None takes the settings' share of the set's defects.
    """

    domain: str
    welds: Mapping[str, str]
    classes: tuple[str, ...]
    small_px: float | None = None


@dataclass(frozen=True)
class Evaluation:
    """What one model version counted on the qualification sets, by domain."""

    version: str
    counts: Mapping[str, Sequence[ImageCounts]]


@dataclass(frozen=True)
class Question:
    """A figure of a domain: its statistic, and of which class if of one."""

    statistic: Statistic
    kind: int | None = None


def questions(classes: int) -> list[Question]:
    """The figures of a domain with so many classes; with one class of defects its IoU is the IoU of all."""
    by_class = [Question(class_iou(kind), kind) for kind in range(1, classes)] if classes > 2 else []
    return [
        Question(DEFECT_IOU),
        *by_class,
        *(Question(statistic) for statistic in (DEFECT_RECALL, SMALL_RECALL, FALSE_CALLS)),
    ]


class _Sums(NamedTuple):
    """A model's counts by weld, over the whole set, and over each resample."""

    by_weld: Tally
    total: Tally
    resampled: Tally


class Panel:
    """The candidate and its references on one set.

    production, accepted: those that were evaluated on this domain. Raises UsageError where counts do not fit the set,
    or were made against different masks.
    """

    def __init__(
        self,
        place: QualificationSet,
        candidate: Evaluation,
        production: Evaluation | None,
        accepted: Sequence[Evaluation],
        settings: GateSettings,
    ) -> None:
        if not place.welds:
            raise UsageError(f"the qualification set of {place.domain} is empty: choose some of its images")
        self.place, self.settings = place, settings
        self.production = production.version if production else None
        # The domain's name is part of the key, so that domains are drawn independently of each other.
        key = [settings.seed, *place.domain.encode()]
        self._weights = draw_weights(len(set(place.welds.values())), settings.resamples, key)
        chosen = _small_px(candidate.counts[place.domain], settings.small_share)
        self._small_px = chosen if place.small_px is None else place.small_px
        self._candidate = self._sums(candidate)
        self._references = {
            model.version: self._reference(model, candidate.version)
            for model in (*([production] if production else []), *accepted)
        }

    @property
    def defects(self) -> int:
        """How many the truth holds."""
        return int(self._candidate.total.defects[1:].sum())

    def holds(self, statistic: Statistic) -> bool:
        """Whether the set holds anything for this figure to judge."""
        return bool(statistic.base(self._candidate.total) > 0)

    def candidate(self, statistic: Statistic) -> Draws:
        return draws_of(statistic, *self._candidate)

    def best(self, statistic: Statistic) -> tuple[str, Draws] | None:
        """The reference with the best value and its name, production among equals; None without references."""
        sign = 1 if statistic.higher_is_better else -1
        found = [(version, draws_of(statistic, *sums)) for version, sums in self._references.items()]
        return max(found, key=lambda pair: sign * pair[1].value) if found else None

    def checks(self, question: Question) -> Iterator[Check]:
        """A figure against production and the best accepted version, or, where nothing was accepted, the minimum."""
        statistic, settings = question.statistic, self.settings
        best = self.best(statistic)
        if best is None:
            least = settings.minimum.get(statistic.key)
            if least is not None:
                yield self._check(question, "minimum", None, least, 0.0)
            return
        allowed = settings.allowed[statistic.key]
        if self.production in self._references:
            serving = draws_of(statistic, *self._references[self.production])
            yield self._check(question, "production", self.production, serving, allowed)
        if best[0] != self.production:
            yield self._check(question, "best", *best, allowed)

    def _check(
        self, question: Question, against: Against, version: str | None, reference: Draws | float, allowed: float
    ) -> Check:
        statistic, settings = question.statistic, self.settings
        mine = self.candidate(statistic)
        difference = estimate(
            mine.minus(reference),
            confidence=settings.confidence,
            power=settings.power,
            events=statistic.events,
        )
        values = (mine.value, reference.value if isinstance(reference, Draws) else reference)
        return check(self._subject(question), against, version, values, difference, allowed, settings.confidence)

    def _subject(self, question: Question) -> Subject:
        kind, total = question.kind, self._candidate.total
        defects = total.small if question.statistic is SMALL_RECALL else self.defects
        return Subject(
            statistic=question.statistic.key,
            domain=self.place.domain,
            class_name=None if kind is None else self.place.classes[kind],
            higher_is_better=question.statistic.higher_is_better,
            images=int(total.images),
            defects=int(defects if kind is None else total.defects[kind]),
        )

    def _reference(self, model: Evaluation, candidate: str) -> _Sums:
        sums = self._sums(model)
        if not sums.by_weld.same_truth(self._candidate.by_weld):
            raise UsageError(
                f"{candidate} and {model.version} were counted against different masks of {self.place.domain}: "
                "evaluate both on the set as it is now"
            )
        return sums

    def _sums(self, model: Evaluation) -> _Sums:
        by_weld = tally(
            model.counts[self.place.domain],
            self.place.welds,
            classes=len(self.place.classes),
            small_px=self._small_px,
            overlap=self.settings.overlap,
        )
        return _Sums(by_weld, by_weld.total(), by_weld.resampled(self._weights))


def _small_px(counts: Sequence[ImageCounts], share: float) -> float:
    """The area that this share of the defects does not exceed; a size that occurs, so equal defects are not parted."""
    areas = [defect.area_px for image in counts for defect in image.defects]
    return float(np.quantile(areas, share, method="inverted_cdf")) if areas else 0.0
