"""Drift: whether the pictures of a domain still look as they did, watched over the predictions made of them."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Annotated, Any

from pydantic import Field
from sqlalchemy import func, select, text, update
from sqlalchemy.orm import Session, aliased

from seamwise.app.actor import SYSTEM, Actor, require
from seamwise.app.aliases import PRODUCTION
from seamwise.app.app import App
from seamwise.app.domains import find_domain
from seamwise.app.guessing import from_json, read_features
from seamwise.app.models import ancestry
from seamwise.app.rounds import propose
from seamwise.app.spec import Spec
from seamwise.app.triggers import serving_line, start_if_wished
from seamwise.errors import BadInputError, NotFoundError, RefusedError
from seamwise.quality.drift import Evidence, Monitor, calibrate, evidence, fastest_alarm, restart
from seamwise.quality.drift import update as take_in
from seamwise.storage.audit import record
from seamwise.storage.columns import canonical_json, utc_now
from seamwise.storage.database import changed, reading, writing
from seamwise.storage.rows import insert_unless_there
from seamwise.storage.tables import (
    Alias,
    Domain,
    DomainReference,
    DriftMonitor,
    ModelVersion,
    Prediction,
    Role,
    Round,
)

LOG = logging.getLogger(__name__)
_AT_ONCE = 200
_UNWATCHED = text("NOT prediction.watched")  # as the index has it


class Calibration(Spec):
    """How often a watch may cry wolf: images between two false alarms, on average at least. None: the settings'."""

    images_between_false_alarms: Annotated[float, Field(ge=1, le=1e9)] | None = None


@dataclass(frozen=True)
class Watch:
    """The watch over a domain. evidence: see `quality.drift.Evidence`. alarm: the evidence at the one that is open.

    reference: welds that it compares with.
    """

    domain: str
    evidence: dict[str, Any]
    alarm: dict[str, Any] | None
    reference: int
    calibrated_by: str
    changed_at: datetime


def list_watches(app: App, actor: Actor) -> list[Watch]:
    """The watches over all domains that have one, by name."""
    require(actor, Role.VIEWER)
    with reading(app.database) as session:
        rows = select(DriftMonitor, Domain.name).join(Domain, Domain.id == DriftMonitor.domain_id)
        return [_watch(row, name) for row, name in session.execute(rows.order_by(Domain.name))]


def get_watch(app: App, actor: Actor, domain: str) -> Watch:
    """The watch over a domain; NotFoundError where there is none yet."""
    require(actor, Role.VIEWER)
    with reading(app.database) as session:
        return _watch(_find(session, find_domain(session, domain)), domain)


def calibrate_domain(app: App, actor: Actor, domain: str, spec: Calibration) -> Watch:
    """Begins the watch over a domain anew, its images as they are now being the reference.

    RefusedError while there are too few of them to see anything at this rate of false alarms.
    """
    require(actor, Role.TRAINER)
    return _calibrate(app, actor, domain, spec)


def _calibrate(app: App, actor: Actor, domain: str, spec: Calibration, *, anew: bool = True) -> Watch:
    """anew: also where there is a watch; else that one stays."""
    images = spec.images_between_false_alarms or app.settings.drift_images_between_false_alarms
    with reading(app.database) as session:
        found = find_domain(session, domain)
        features, welds = read_features(session, found.id)
        last = session.scalar(select(func.max(Prediction.id)).where(Prediction.domain_id == found.id)) or 0
    if not len(features):
        raise RefusedError(f"domain {domain}: none of its images was looked at yet; add some, or wait a moment")
    try:
        monitor = calibrate(features, welds, images)
    except BadInputError as error:
        raise RefusedError(f"domain {domain}: {error}") from error
    with writing(app.database) as session:
        new = DriftMonitor(domain_id=found.id, calibrated_by=actor.name, **_state(monitor))
        if not insert_unless_there(session, new):
            row = _find(session, found, lock=True)
            if not anew:  # another process, or a person, was sooner
                return _watch(row, domain)
            _replace(session, row, monitor, alarm=None, calibrated_by=actor.name)
        # what came so far belongs to the reference
        old = (Prediction.domain_id == found.id, Prediction.id <= last, _UNWATCHED)
        changed(session, update(Prediction).where(*old).values(watched=True))
        details = {"welds": len(set(welds)), "images_between_false_alarms": images}
        record(session, actor.name, "drift.calibrate", f"domain/{domain}", details, actor.request_id)
        return _watch(_find(session, found), domain)


def restart_watch(app: App, actor: Actor, domain: str) -> Watch:
    """Ends an alarm that was looked at, or learned from: what was seen joins the reference."""
    require(actor, Role.TRAINER)
    with writing(app.database) as session:
        found = find_domain(session, domain)
        _restart(session, actor, _find(session, found, lock=True), domain)
        return _watch(_find(session, found), domain)


def _restart(session: Session, actor: Actor, row: DriftMonitor, domain: str) -> None:
    _replace(session, row, restart(Monitor.from_json(row.state)), alarm=None)
    record(session, actor.name, "drift.restart", f"domain/{domain}", request_id=actor.request_id)


def watch(app: App) -> list[str]:
    """Takes in what was predicted since; the names of the domains where an alarm began.

    Domains whose images were looked at get a watch as soon as there are enough of them. An open alarm asks for one
    round; once production has learned from it, the watch goes on.
    """
    with reading(app.database) as session:
        rows = select(Domain.name, DomainReference.state).join(DomainReference, DomainReference.domain_id == Domain.id)
        rows = rows.outerjoin(DriftMonitor, DriftMonitor.domain_id == Domain.id)
        described = session.execute(rows.where(DriftMonitor.domain_id.is_(None)).order_by(Domain.name)).all()
        rows = select(Domain.name).join(DriftMonitor, DriftMonitor.domain_id == Domain.id)
        watched = list(session.scalars(rows.order_by(Domain.name)))
    for name, state in described:
        if fastest_alarm(state["welds"], app.settings.drift_images_between_false_alarms) is not None:
            _begin(app, name)
    alarms = [name for name in watched if _sweep(app, name)]
    _ask_for_rounds(app)
    _end_learned(app)
    return alarms


def _begin(app: App, domain: str) -> None:
    try:
        _calibrate(app, SYSTEM, domain, Calibration(), anew=False)
    except RefusedError:  # some of its images were deleted since it was described
        return


def _sweep(app: App, domain: str) -> bool:
    """Takes in a domain's predictions, in the order they came; whether an alarm began."""
    began = False
    while True:
        with reading(app.database) as session:
            found = find_domain(session, domain)
            row = _find(session, found)
            rows = select(Prediction).where(Prediction.domain_id == found.id, _UNWATCHED)
            new = list(session.scalars(rows.order_by(Prediction.id).limit(_AT_ONCE)))
            again = _came_before(session, new)
        if not new:
            return began
        monitor, alarm = _taken_in(row, [prediction for prediction in new if prediction.id not in again])
        with writing(app.database) as session:
            if not _replace(session, row, monitor, alarm=row.alarm or alarm):
                return began  # another process was sooner
            numbers = [prediction.id for prediction in new]
            changed(session, update(Prediction).where(Prediction.id.in_(numbers)).values(watched=True))
            if alarm and row.alarm is None:
                record(session, SYSTEM.name, "drift.alarm", f"domain/{domain}", alarm)
                began = True
        if alarm and row.alarm is None:
            LOG.warning("domain %s: its images have changed: %s", domain, alarm["moved"])


def _came_before(session: Session, new: Sequence[Prediction]) -> set[int]:
    """Those of a picture that the domain was shown before: however often one comes, it is one image."""
    earlier = aliased(Prediction)
    same = (earlier.input_sha256 == Prediction.input_sha256, earlier.domain_id == Prediction.domain_id)
    before = select(earlier.id).where(*same, earlier.id < Prediction.id).exists()
    numbers = [prediction.id for prediction in new]
    return set(session.scalars(select(Prediction.id).where(Prediction.id.in_(numbers), before)))


def _taken_in(row: DriftMonitor, new: Sequence[Prediction]) -> tuple[Monitor, dict[str, Any] | None]:
    """The state after these predictions, and the evidence of the first alarm among them."""
    monitor, alarm = Monitor.from_json(row.state), None
    for prediction in new:
        weld = prediction.summary.get("weld") or prediction.input_sha256[:16]
        monitor, found = take_in(monitor, from_json(prediction.summary["features"]), weld)
        if found.alarm and alarm is None:
            alarm = _plain(found) | {"prediction": prediction.id}
    return monitor, alarm


def _alarmed(session: Session) -> list[tuple[Domain, DriftMonitor]]:
    """The domains with an open alarm."""
    rows = select(Domain, DriftMonitor).join(DriftMonitor, DriftMonitor.domain_id == Domain.id)
    found = session.execute(rows.where(DriftMonitor.alarm.is_not(None)).order_by(Domain.name)).all()
    return [(domain, row) for domain, row in found]


def _ask_for_rounds(app: App) -> None:
    """Asks for the round of every open alarm that has none, also of one whose process ended before it could ask."""
    if not app.settings.trigger_drift:
        return
    with reading(app.database) as session:
        silent = [domain for domain, row in _alarmed(session) if "round" not in (row.alarm or {})]
        line = serving_line(session) if silent else None
    if line is None:
        return
    for domain in silent:
        with writing(app.database) as session:
            row = _find(session, domain, lock=True)
            if row.alarm is None or "round" in row.alarm:  # another process was sooner
                continue
            cause = {"kind": "drift", "moved": row.alarm["moved"], "images": row.alarm["images"]}
            asked = propose(session, line, domain.name, cause, SYSTEM)
            row.alarm, row.sequence = row.alarm | {"round": asked.id}, row.sequence + 1
        start_if_wished(app, asked)


def _end_learned(app: App) -> None:
    """Restarts the watches whose alarm asked for a round that production has learned from."""
    with reading(app.database) as session:
        alarms = {domain.name: (domain, row.alarm or {}) for domain, row in _alarmed(session)}
        rounds = {name: session.get(Round, alarm["round"]) for name, (_, alarm) in alarms.items() if "round" in alarm}
        made = {name: row.model_id for name, row in rounds.items() if row is not None and row.model_id is not None}
        serves = session.get(Alias, PRODUCTION) if made else None
        if serves is None:
            return
        learned = {version.id for version in ancestry(session, session.get_one(ModelVersion, serves.model_id))}
    for name in (name for name, model_id in made.items() if model_id in learned):
        domain, alarm = alarms[name]
        with writing(app.database) as session:
            row = _find(session, domain, lock=True)
            if row.alarm == alarm:  # else another process, or a person, was sooner
                _restart(session, SYSTEM, row, name)


def _find(session: Session, domain: Domain, *, lock: bool = False) -> DriftMonitor:
    """A domain's watch as it is now. lock: until the transaction ends nobody else changes it."""
    row = session.get(DriftMonitor, domain.id, populate_existing=True, with_for_update=lock or None)
    if row is None:
        raise NotFoundError(f"domain {domain.name}: no watch over it yet; it begins when there are enough images")
    return row


def _replace(session: Session, row: DriftMonitor, monitor: Monitor, **values: Any) -> bool:
    """Compare-and-set on the row's sequence."""
    same = (DriftMonitor.domain_id == row.domain_id, DriftMonitor.sequence == row.sequence)
    after = {**_state(monitor), "sequence": row.sequence + 1, "changed_at": utc_now(), **values}
    return changed(session, update(DriftMonitor).where(*same).values(after)) == 1


def _state(monitor: Monitor) -> dict[str, Any]:
    return {"state": monitor.to_json(), "evidence": _plain(evidence(monitor))}


def _plain(found: Evidence) -> dict[str, Any]:
    plain: dict[str, Any] = json.loads(canonical_json(asdict(found)))
    return plain


def _watch(row: DriftMonitor, domain: str) -> Watch:
    return Watch(domain, row.evidence, row.alarm, len(row.state["pool"]), row.calibrated_by, row.changed_at)
