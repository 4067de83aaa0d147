"""The gate before production: is a candidate as good as what serves, and as the best that was ever accepted?

Each figure (IoU of all defects and of each class, share of defects found and of small ones, false calls, forgetting
over the old domains) is compared on the frozen qualification set of each domain by a paired bootstrap over welds. A
check fails where the interval of the loss lies wholly beyond the allowed loss, passes where it lies wholly within,
and is undecided between. A candidate passes when all its checks do, so the chance to let a true loss beyond the
allowed one through is at most that of one check, however many there are (an intersection-union test; Berger 1982).
An undecided check asks for more welds, or for a person.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from seamwise.quality.bootstrap import Draws, average, estimate
from seamwise.quality.checks import Answer, Check, Subject, check, label, not_evaluated
from seamwise.quality.gate_settings import GateSettings
from seamwise.quality.panel import Evaluation, Panel, QualificationSet, Question, questions
from seamwise.quality.tally import DEFECT_IOU

__all__ = ["Absent", "Check", "Evaluation", "GateSettings", "QualificationSet", "Verdict", "judge"]


@dataclass(frozen=True)
class Absent:
    """A figure that a set cannot tell, because it holds nothing of what would be judged; it decides nothing."""

    statistic: str
    domain: str
    class_name: str | None
    words: str


@dataclass(frozen=True)
class Verdict:
    """The gate's answer with all that led to it."""

    verdict: Answer
    candidate: str
    production: str | None
    checks: tuple[Check, ...]
    absent: tuple[Absent, ...]
    settings: GateSettings

    def to_json(self) -> dict[str, Any]:
        """What `json.dumps` takes: plain values under stable keys."""
        return asdict(self)


def judge(
    sets: Sequence[QualificationSet],
    candidate: Evaluation,
    production: Evaluation | None = None,
    accepted: Sequence[Evaluation] = (),
    new: Collection[str] = (),
    settings: GateSettings | None = None,
) -> Verdict:
    """Judge a candidate on the qualification sets of all domains.

    accepted: versions that served before, on the same sets; for each figure the best of them and of production is a
    reference too, so that small losses do not add up over rounds. new: domains learned in this round; the others are
    old, and forgetting is over them. A domain on which the candidate, or a production that serves, was not evaluated
    is undecided; where nothing was accepted yet the settings' minimums decide. Nothing to judge at all is undecided.
    Raises UsageError where counts do not fit a set or were made against different masks.
    """
    settings = settings or GateSettings()
    serving = production.version if production else None
    earlier = [model for model in accepted if model.version != serving]
    checks: list[Check] = []
    absent: list[Absent] = []
    old: list[Panel] = []
    for place in sets:
        checks += _missing(place, candidate, production, settings)
        if place.domain not in candidate.counts:
            continue
        here = production if production and place.domain in production.counts else None
        panel = Panel(place, candidate, here, [m for m in earlier if place.domain in m.counts], settings)
        for question in questions(len(place.classes)):
            if panel.holds(question.statistic):
                checks += panel.checks(question)
            else:
                absent.append(_absence(place, question))
        if place.domain not in new and panel.best(DEFECT_IOU) and panel.holds(DEFECT_IOU):
            old.append(panel)
    checks += _forgetting(old, settings)
    return Verdict(_overall(checks), candidate.version, serving, tuple(checks), tuple(absent), settings)


def _overall(checks: Sequence[Check]) -> Answer:
    answers = {item.verdict for item in checks}
    if "fail" in answers:
        return "fail"
    return "pass" if answers == {"pass"} else "undecided"


def _missing(
    place: QualificationSet, candidate: Evaluation, production: Evaluation | None, settings: GateSettings
) -> list[Check]:
    """The models that were not evaluated on a domain although its verdict needs them."""
    return [
        not_evaluated(place.domain, model.version, len(place.welds), settings.confidence)
        for model in (candidate, production)
        if model and place.domain not in model.counts
    ]


def _absence(place: QualificationSet, question: Question) -> Absent:
    name = None if question.kind is None else place.classes[question.kind]
    words = f"{label(question.statistic.key, name, place.domain)}: not judged, the set holds none"
    return Absent(question.statistic.key, place.domain, name, words)


def _forgetting(old: Sequence[Panel], settings: GateSettings) -> list[Check]:
    """The mean defect IoU over the old domains against the best that was accepted in each."""
    pairs: list[tuple[Draws, Draws]] = []
    for panel in old:
        best = panel.best(DEFECT_IOU)
        if best is not None:
            pairs.append((panel.candidate(DEFECT_IOU), best[1]))
    if not pairs:
        return []
    difference = estimate(
        average([mine.minus(best) for mine, best in pairs]), confidence=settings.confidence, power=settings.power
    )
    values = (average([mine for mine, _ in pairs]).value, average([best for _, best in pairs]).value)
    subject = Subject(
        statistic="forgetting",
        domain=None,
        class_name=None,
        higher_is_better=True,
        images=sum(len(panel.place.welds) for panel in old),
        defects=sum(panel.defects for panel in old),
    )
    return [check(subject, "best", None, values, difference, settings.forgetting, settings.confidence)]
