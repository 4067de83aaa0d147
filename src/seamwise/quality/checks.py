"""One judged figure of the gate: its numbers, its verdict, and the same in words for a person."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from seamwise.quality.bootstrap import Estimate, fewest_welds

Answer = Literal["pass", "fail", "undecided"]
Against = Literal["production", "best", "minimum"]
Reason = Literal["within", "beyond", "straddles", "too_few_welds", "not_evaluated"]

_FIGURES = {
    "defect_iou": "defect IoU",
    "class_iou": "IoU",
    "defect_recall": "share of defects found",
    "small_recall": "share of small defects found",
    "false_calls": "false calls per image",
    "forgetting": "mean defect IoU over the old domains",
}
_REFERENCES = {"production": "production", "best": "the best accepted", "minimum": "the minimum"}
# Losses that differ by less are equal: ratios of sums are rounded in their last places.
_ROUNDING = 1e-9


@dataclass(frozen=True)
class Subject:
    """What a check is about, and what the set holds of it (welds are counted by the estimate).

    statistic: `defect_iou`, `class_iou`, `defect_recall`, `small_recall`, `false_calls`, or `forgetting`, which is of
    all old domains (domain None).
    """

    statistic: str
    domain: str | None
    class_name: str | None
    higher_is_better: bool
    images: int
    defects: int


@dataclass(frozen=True)
class Check:
    """One figure of the candidate judged against a reference; the keys are stable, `words` are for a person.

    reason: why the verdict. against, version: production, the best accepted version for this figure, or a minimum
    (no version). difference: candidate - reference, with its interval. allowed: the tolerated loss, in the direction
    that is worse. detectable: the smallest true difference that this set would have shown. welds: those that hold
    something to judge. None where nothing could be computed.
    """

    verdict: Answer
    reason: Reason
    statistic: str
    domain: str | None
    class_name: str | None
    against: Against | None
    version: str | None
    higher_is_better: bool
    candidate: float | None
    reference: float | None
    difference: float | None
    interval: tuple[float, float] | None
    confidence: float
    allowed: float | None
    detectable: float | None
    welds: int
    images: int
    defects: int
    words: str


def label(statistic: str, class_name: str | None, domain: str | None) -> str:
    """A figure's name for a person: "IoU of crack on film"."""
    of_class = f" of {class_name}" if class_name else ""
    on_domain = f" on {domain}" if domain else ""
    return f"{_FIGURES[statistic]}{of_class}{on_domain}"


def judge_loss(low: float, high: float, allowed: float) -> tuple[Answer, Reason]:
    """Verdict on a loss known to lie in low..high: pass wholly within the allowed, fail wholly beyond it."""
    if high <= allowed + _ROUNDING:
        return "pass", "within"
    if low > allowed + _ROUNDING:
        return "fail", "beyond"
    return "undecided", "straddles"


def check(
    subject: Subject,
    against: Against,
    version: str | None,
    values: tuple[float, float],
    difference: Estimate,
    allowed: float,
    confidence: float,
) -> Check:
    """The check of one figure; values: the candidate's and the reference's; difference: of the two, as estimated."""
    answer: Answer = "undecided"
    reason: Reason = "too_few_welds"
    interval = difference.interval
    if interval is not None:
        losses = (-interval[1], -interval[0]) if subject.higher_is_better else interval
        answer, reason = judge_loss(*losses, allowed)
    at_most = against == "minimum" and not subject.higher_is_better
    who = "the most allowed" if at_most else _REFERENCES[against] + (f" ({version})" if version else "")
    name = label(subject.statistic, subject.class_name, subject.domain)
    return Check(
        verdict=answer,
        reason=reason,
        statistic=subject.statistic,
        domain=subject.domain,
        class_name=subject.class_name,
        against=against,
        version=version,
        higher_is_better=subject.higher_is_better,
        candidate=_known(values[0]),
        reference=_known(values[1]),
        difference=_known(difference.value),
        interval=interval,
        confidence=confidence,
        allowed=allowed,
        detectable=difference.detectable,
        welds=difference.welds,
        images=subject.images,
        defects=subject.defects,
        words=f"{name}: {values[0]:.3f}, {who} {values[1]:.3f}; "
        + _finding(difference, allowed, confidence, reason, "fall" if subject.higher_is_better else "rise"),
    )


def not_evaluated(domain: str, version: str, images: int, confidence: float) -> Check:
    """A domain on which a model that matters was never run: undecided, whatever the rest says."""
    return Check(
        verdict="undecided",
        reason="not_evaluated",
        statistic="defect_iou",
        domain=domain,
        class_name=None,
        against=None,
        version=version,
        higher_is_better=True,
        candidate=None,
        reference=None,
        difference=None,
        interval=None,
        confidence=confidence,
        allowed=None,
        detectable=None,
        welds=0,
        images=images,
        defects=0,
        words=f"{version} was not evaluated on {domain}: evaluate it there and judge again",
    )


def _finding(difference: Estimate, allowed: float, confidence: float, reason: Reason, worse: str) -> str:
    if difference.interval is None:
        return (
            f"{difference.welds} welds hold something to judge, and fewer than {fewest_welds(confidence)} give no "
            "interval: add welds to the qualification set"
        )
    low, high = difference.interval
    between = f"the difference lies between {low:+.3f} and {high:+.3f} ({100 * confidence:g} % confidence)"
    if reason == "within":
        return f"{between}, within the allowed {worse} of {allowed:g}"
    if reason == "beyond":
        return f"{between}, beyond the allowed {worse} of {allowed:g}"
    return (
        f"{between}: a {worse} beyond the allowed {allowed:g} is neither shown nor ruled out; "
        f"this set shows differences from about {difference.detectable:.3f}"
    )


def _known(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
