"""Promotion: a candidate judged by the gate from the counts that are stored, and the alias moved when it passes."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
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


class Promotion(Spec):
    """A version that an alias shall name. force: whatever the gate says, which takes an admin."""

    version: Text
    reason: Text
    force: bool = False


def gate_settings(settings: Settings) -> GateSettings:
    """The gate's thresholds; UsageError for one that it does not know."""
    try:
        return GateSettings(**settings.gate)
    except TypeError as error:
        known = ", ".join(GateSettings.__dataclass_fields__)
        raise UsageError(f"SEAMWISE_GATE: {error}; the gate knows {known}") from error


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
    production = None if present is None else session.get_one(ModelVersion, present.model_id)
    earlier = [session.get_one(ModelVersion, number) for number in sorted(set(accepted(session, alias)))]
    references = [model for model in (*([production] if production else []), *earlier) if model.id != candidate.id]
    learned = {name for model in (candidate, *references) for name in model.spec["domains"]}
    sets: list[gate.QualificationSet] = []
    counts: dict[int, dict[str, list[ImageCounts]]] = {model.id: {} for model in (candidate, *references)}
    for found in current_sets(session):
        domain = session.get_one(Domain, found.domain_id).name
        if domain not in learned:  # nobody claims to know it
            continue
        # named by their images: those deleted since the set was frozen count for no version
        welds = {str(entry.image_id): entry.group for entry in entries(session, found.snapshot_id)}
        if welds:
            sets.append(gate.QualificationSet(domain, welds, tuple(candidate.spec["classes"])))
            for model in (candidate, *references):
                if (known := _counts(session, model, found, welds, candidate.spec["classes"])) is not None:
                    counts[model.id][domain] = known
    verdict = gate.judge(
        sets,
        gate.Evaluation(name_of(candidate), counts[candidate.id]),
        gate.Evaluation(name_of(production), counts[production.id])
        if production is not None and production.id != candidate.id
        else None,
        [gate.Evaluation(name_of(model), counts[model.id]) for model in earlier if model.id != candidate.id],
        new=set(candidate.spec["domains"]) - set(production.spec["domains"] if production else ()),
        settings=gate_settings(settings),
    )
    return {
        **_plain(verdict.to_json()),
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


def promote_if_passed(app: App, model_id: int) -> NamedVersion | None:
    """The policy of automatic promotion, for a version that was just judged.

    None where the policy is off, the verdict is no pass or holds no more, another line serves, or the version was at
    this alias before: what a person rolled back from is not promoted again.
    """
    if not app.settings.auto_promote:
        return None
    with reading(app.database) as session:
        version, present = find_model(session, model_id), session.get(Alias, PRODUCTION)
        other = present is not None and session.get_one(ModelVersion, present.model_id).line != version.line
        passed = (version.verdict or {}).get("verdict") == "pass" and _holds(session, app.settings, version, PRODUCTION)
        tried = select(AliasHistory.id).where(AliasHistory.alias == PRODUCTION, AliasHistory.to_id == version.id)
        if other or not passed or session.scalar(tried.limit(1)) is not None:
            return None
    return promote(app, SYSTEM, PRODUCTION, Promotion(version=name_of(version), reason="passed the gate"))


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


def _counts(
    session: Session, model: ModelVersion, found: QualificationSet, welds: dict[str, str], classes: list[str]
) -> list[ImageCounts] | None:
    """What a version counted on a set's images; None where it was not evaluated on all, or knows other classes."""
    mine = model.spec["classes"]
    evaluation = find_evaluation(session, model, found.snapshot_id)
    # two classes are background and defect, whatever they are called
    if evaluation is None or (mine != classes and {len(mine), len(classes)} != {2}):
        return None
    rows = session.scalars(select(EvaluationImage).where(EvaluationImage.evaluation_id == evaluation.id))
    known = {str(row.image_id): row.counts for row in rows}
    if not welds.keys() <= known.keys():
        return None
    return [replace(ImageCounts.from_json(known[place]), name=place) for place in welds]


def _plain(value: dict[str, Any]) -> dict[str, Any]:
    """As it will be read back from the database: lists for tuples."""
    plain: dict[str, Any] = json.loads(canonical_json(value))
    return plain
