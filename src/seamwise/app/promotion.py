"""Promotion: a candidate judged by the gate from the counts that are stored, and the alias moved when it passes."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import asdict, dataclass, replace
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from seamwise.app.actor import SYSTEM, Actor, require
from seamwise.app.aliases import PRODUCTION, Change, NamedVersion, accepted, apply, named, write_refusal
from seamwise.app.app import App
from seamwise.app.entries import entries
from seamwise.app.evaluations import find_evaluation
from seamwise.app.models import find_model, find_version, name_of
from seamwise.app.qualification import current_sets
from seamwise.app.spec import Spec, Text
from seamwise.errors import RefusedError, UsageError
from seamwise.quality import gate
from seamwise.quality.gate_settings import GateSettings
from seamwise.settings import Settings
from seamwise.storage.columns import canonical_json
from seamwise.storage.database import reading, writing
from seamwise.storage.tables import (
    Alias,
    AliasAction,
    AliasHistory,
    Domain,
    EvaluationImage,
    ModelVersion,
    QualificationSet,
    Role,
)
from seamwise.vision.counts import ImageCounts

_SHOWN = 3
_WORST_FIRST = ("fail", "undecided", "pass")


class Promotion(Spec):
    """A version that an alias shall name. force: whatever the gate says, which takes an admin."""

    version: Text
    reason: Text
    force: bool = False


def gate_settings(settings: Settings) -> GateSettings:
    """The gate's thresholds; UsageError for one that it does not know, or a value without a meaning."""
    try:
        return GateSettings(**settings.gate)
    except TypeError as error:
        known = ", ".join(GateSettings.__dataclass_fields__)
        raise UsageError(f"SEAMWISE_GATE: {error}; the gate knows {known}") from error
    except UsageError as error:
        raise UsageError(f"SEAMWISE_GATE: {error}") from error


def judge_version(app: App, model_id: int, alias: str = PRODUCTION) -> dict[str, Any]:
    """The gate's verdict on a version against what an alias names, from stored counts; writes nothing.

    Beside the gate's own figures it names the alias, its sequence (0: there is none) and the newest qualification set,
    on which a promotion compares. Raises UsageError for settings without a meaning.
    """
    with reading(app.database) as session:
        return judge(session, app.settings, find_model(session, model_id), alias)


def judge(session: Session, settings: Settings, candidate: ModelVersion, alias: str = PRODUCTION) -> dict[str, Any]:
    """The same within a transaction."""
    present = session.get(Alias, alias, populate_existing=True)
    numbers = set(accepted(session, alias)) - {candidate.id}
    earlier = [session.get_one(ModelVersion, number) for number in sorted(numbers)]
    production = next((model for model in earlier if present and model.id == present.model_id), None)
    learned = {name for model in (candidate, *earlier) for name in model.spec["domains"]}
    verdicts = [
        gate.judge(
            [each.place for each in group],
            _evaluation(session, candidate, group, learned),
            _evaluation(session, production, group) if production and old else None,
            [_evaluation(session, model, group) for model in earlier],
            new=() if old else {each.place.domain for each in group},
            settings=gate_settings(settings),
        )
        for old, group in _grouped(_sets(session, candidate, learned), production)
    ]
    if not verdicts:
        verdicts = [gate.judge([], gate.Evaluation(name_of(candidate), {}), settings=gate_settings(settings))]
    whole = replace(
        verdicts[0],
        verdict=min((verdict.verdict for verdict in verdicts), key=_WORST_FIRST.index),
        production=name_of(production) if production else None,
        checks=tuple(check for verdict in verdicts for check in verdict.checks),
        absent=tuple(absent for verdict in verdicts for absent in verdict.absent),
    )
    return {
        **_plain(whole.to_json()),
        "alias": alias,
        "alias_sequence": present.sequence if present else 0,
        "qualification": newest_qualification(session),
    }


def promote(app: App, actor: Actor, alias: str, spec: Promotion) -> NamedVersion:
    """Lets an alias name another version, if the gate's verdict on it is a pass; it is history either way.

    A verdict that was made against an older alias, older qualification sets or other thresholds is made anew first.
    RefusedError, with the figures that speak against it, for any verdict but a pass; ForbiddenError for a forced
    promotion by anyone but an admin.
    """
    require(actor, Role.ADMIN if spec.force else Role.TRAINER)
    with reading(app.database) as session:
        version = find_version(session, spec.version)
        _check_serves(version)
        if (present := session.get(Alias, alias)) is not None and present.model_id == version.id:
            return named(session, present)
        verdict = current_verdict(session, app.settings, version, alias)
    change = Change(
        alias=alias,
        sequence=verdict["alias_sequence"],
        action=AliasAction.FORCED if spec.force else AliasAction.PROMOTED,
        from_id=present.model_id if present else None,
        to_id=version.id,
        reason=spec.reason,
    )
    passed = verdict["verdict"] == "pass"
    with writing(app.database) as session:
        if newest_qualification(session) != verdict["qualification"]:
            raise RefusedError("a qualification set was frozen meanwhile: evaluate the version on it, then promote")
        if alias == PRODUCTION:
            find_model(session, version.id).verdict = verdict
        if passed or spec.force:
            return apply(session, actor, change, verdict)
        write_refusal(session, actor, replace(change, action=AliasAction.REFUSED), verdict)
    raise RefusedError(f"version {spec.version} does not pass the gate ({verdict['verdict']}): {against(verdict)}")


def promote_if_passed(session: Session, settings: Settings, version: ModelVersion) -> NamedVersion | None:
    """The policy of automatic promotion, within the transaction that stores a version's verdict.

    None where the policy is off, the verdict is no pass or holds no more, another line serves, or the version was at
    this alias before: what a person rolled back from is not promoted again. Raises RefusedError, and has written
    nothing then, where the alias changed meanwhile.
    """
    if not settings.auto_promote:
        return None
    present, verdict = session.get(Alias, PRODUCTION), version.verdict or {}
    other = present is not None and session.get_one(ModelVersion, present.model_id).line != version.line
    passed = verdict.get("verdict") == "pass" and _holds(session, settings, version, PRODUCTION)
    tried = select(AliasHistory.id).where(AliasHistory.alias == PRODUCTION, AliasHistory.to_id == version.id)
    if other or not passed or session.scalar(tried.limit(1)) is not None:
        return None
    _check_serves(version)
    change = Change(
        alias=PRODUCTION,
        sequence=verdict["alias_sequence"],
        action=AliasAction.PROMOTED,
        from_id=present.model_id if present else None,
        to_id=version.id,
        reason="passed the gate",
    )
    return apply(session, SYSTEM, change, verdict)


def current_verdict(session: Session, settings: Settings, version: ModelVersion, alias: str) -> dict[str, Any]:
    """The version's stored verdict where it still holds, else a new one."""
    if version.verdict is not None and _holds(session, settings, version, alias):
        return version.verdict
    return judge(session, settings, version, alias)


def _holds(session: Session, settings: Settings, version: ModelVersion, alias: str) -> bool:
    """Whether the stored verdict was made against the alias, the sets and the thresholds as they are now."""
    present = session.get(Alias, alias)
    now = {
        "alias": alias,
        "alias_sequence": present.sequence if present else 0,
        "qualification": newest_qualification(session),
        "settings": _plain(asdict(gate_settings(settings))),
    }
    return all((version.verdict or {}).get(name) == value for name, value in now.items())


def newest_qualification(session: Session) -> int:
    """The qualification version that verdicts name: the largest id of all sets, 0 without any."""
    return session.scalar(select(func.max(QualificationSet.id))) or 0


def against(verdict: dict[str, Any]) -> str:
    """What speaks against a version, in words for a person: failures first."""
    words = [
        check["words"] for kind in ("fail", "undecided") for check in verdict["checks"] if check["verdict"] == kind
    ]
    if not words:
        return "there is nothing to judge it on; freeze qualification sets of its domains and evaluate it"
    more = f"; and {len(words) - _SHOWN} more" if len(words) > _SHOWN else ""
    return "; ".join(words[:_SHOWN]) + more


def _check_serves(version: ModelVersion) -> None:
    if version.serving_sha256 is None:
        raise RefusedError(f"version {name_of(version)}: it has no serving package, so nothing could serve it")


@dataclass(frozen=True)
class _Set:
    """A qualification set that counts: its snapshot, and what the gate needs of it, images named by their ids."""

    snapshot: int
    place: gate.QualificationSet


def _sets(session: Session, candidate: ModelVersion, learned: set[str]) -> list[_Set]:
    """The current sets of the domains that somebody claims to know, without images deleted since."""
    found = []
    for row in current_sets(session):
        domain = session.get_one(Domain, row.domain_id).name
        welds = {str(entry.image_id): entry.group for entry in entries(session, row.snapshot_id)}
        if domain in learned and welds:
            place = gate.QualificationSet(domain, welds, tuple(candidate.spec["classes"]))
            found.append(_Set(row.snapshot_id, place))
    return found


def _grouped(sets: list[_Set], production: ModelVersion | None) -> list[tuple[bool, list[_Set]]]:
    """The sets of domains that production knows, and the others: there it is no reference, and need not be evaluated.

    A candidate that is better than a version that never learned a domain may still be bad: the minimums decide.
    """
    known = set(production.spec["domains"]) if production else set()
    groups = [(old, [each for each in sets if (each.place.domain in known) is old]) for old in (True, False)]
    return [(old, group) for old, group in groups if group]


def _evaluation(
    session: Session, model: ModelVersion, sets: list[_Set], domains: Collection[str] | None = None
) -> gate.Evaluation:
    """What a version counted where it was evaluated. domains: those that matter; else those that it learned."""
    domains = model.spec["domains"] if domains is None else domains
    counts = {}
    for each in sets:
        if each.place.domain in domains:
            found = _counts(session, model, each)
            if found is not None:
                counts[each.place.domain] = found
    return gate.Evaluation(name_of(model), counts)


def _counts(session: Session, model: ModelVersion, judged: _Set) -> list[ImageCounts] | None:
    """None where the version was not evaluated on all images, or knows other classes."""
    mine, classes = model.spec["classes"], list(judged.place.classes)
    evaluation = find_evaluation(session, model, judged.snapshot)
    # two classes are background and defect, whatever they are called
    if evaluation is None or (mine != classes and {len(mine), len(classes)} != {2}):
        return None
    rows = session.scalars(select(EvaluationImage).where(EvaluationImage.evaluation_id == evaluation.id))
    known = {str(row.image_id): row.counts for row in rows}
    if not judged.place.welds.keys() <= known.keys():
        return None
    return [replace(ImageCounts.from_json(known[name]), name=name) for name in judged.place.welds]


def _plain(value: dict[str, Any]) -> dict[str, Any]:
    """As it will be read back from the database: lists for tuples."""
    plain: dict[str, Any] = json.loads(canonical_json(value))
    return plain
