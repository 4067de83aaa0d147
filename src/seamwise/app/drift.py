"""Drift: whether the pictures of a domain still look as they did, watched over the predictions made of them."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Annotated, Any

from pydantic import Field
from sqlalchemy import select, text, update
from sqlalchemy.orm import Session

from seamwise.app.actor import SYSTEM, Actor, require
from seamwise.app.aliases import PRODUCTION
from seamwise.app.app import App
from seamwise.app.domains import find_domain
from seamwise.app.guessing import from_json, read_features
from seamwise.app.models import ancestry
from seamwise.app.spec import Spec
from seamwise.app.triggers import ask, serving_line
from seamwise.errors import BadInputError, NotFoundError, RefusedError
from seamwise.quality.drift import Evidence, Monitor, calibrate, evidence, restart
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
IMAGES_BETWEEN_FALSE_ALARMS = 5000.0
_AT_ONCE = 200
_UNWATCHED = text("NOT prediction.watched")  # as the index has it


class Calibration(Spec):
    """How often a watch may cry wolf: images between two false alarms, on average at least."""

    images_between_false_alarms: Annotated[float, Field(ge=1, le=1e9)] = IMAGES_BETWEEN_FALSE_ALARMS


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
    with reading(app.database) as session:
        found = find_domain(session, domain)
        features, welds = read_features(session, found.id)
    if not len(features):
        raise RefusedError(f"domain {domain}: none of its images was looked at yet; add some, or wait a moment")
    try:
        monitor = calibrate(features, welds, spec.images_between_false_alarms)
    except BadInputError as error:
        raise RefusedError(f"domain {domain}: {error}") from error
    with writing(app.database) as session:
        row = session.get(DriftMonitor, found.id)
        if row is None:
            new = DriftMonitor(domain_id=found.id, calibrated_by=actor.name, **_state(monitor))
            insert_unless_there(session, new)
        else:
            _replace(session, row, monitor, alarm=None, calibrated_by=actor.name)
        # what came so far belongs to the reference
        counted = update(Prediction).where(Prediction.domain_id == found.id, _UNWATCHED).values(watched=True)
        changed(session, counted)
        details = {"welds": len(set(welds)), "images_between_false_alarms": spec.images_between_false_alarms}
        record(session, actor.name, "drift.calibrate", f"domain/{domain}", details, actor.request_id)
        return _watch(_find(session, found), domain)


def restart_watch(app: App, actor: Actor, domain: str) -> Watch:
    """Ends an alarm that was looked at, or learned from: what was seen joins the reference."""
    require(actor, Role.TRAINER)
    with writing(app.database) as session:
        found = find_domain(session, domain)
        row = _find(session, found)
        _replace(session, row, restart(Monitor.from_json(row.state)), alarm=None)
        record(session, actor.name, "drift.restart", f"domain/{domain}", request_id=actor.request_id)
        return _watch(_find(session, found), domain)


def watch(app: App) -> list[str]:
    """Takes in what was predicted since; the names of the domains where an alarm began.

    Domains whose images were looked at get a watch as soon as there are enough of them. An alarm asks for a round; once
    production has learned from that round, the watch goes on.
    """
    with reading(app.database) as session:
        rows = select(Domain.name, DriftMonitor.domain_id.is_not(None))
        rows = rows.join(DomainReference, DomainReference.domain_id == Domain.id)
        rows = rows.outerjoin(DriftMonitor, DriftMonitor.domain_id == Domain.id)
        known = session.execute(rows.order_by(Domain.name)).all()
    for name, watched in known:
        if not watched:
            _begin(app, name)
    alarms = [name for name, watched in known if watched and _sweep(app, name)]
    _end_learned(app)
    return alarms


def _begin(app: App, domain: str) -> None:
    try:
        calibrate_domain(app, SYSTEM, domain, Calibration())
    except RefusedError:  # too few welds yet
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
        if not new:
            return began
        monitor, alarm = _taken_in(row, new)
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
            _ask_for_round(app, found, alarm)


def _taken_in(row: DriftMonitor, new: Sequence[Prediction]) -> tuple[Monitor, dict[str, Any] | None]:
    """The state after these predictions, and the evidence of the first alarm among them."""
    monitor, alarm = Monitor.from_json(row.state), None
    for prediction in new:
        weld = prediction.summary.get("weld") or prediction.input_sha256[:16]
        monitor, found = take_in(monitor, from_json(prediction.summary["features"]), weld)
        if found.alarm and alarm is None:
            alarm = _plain(found) | {"prediction": prediction.id}
    return monitor, alarm


def _ask_for_round(app: App, domain: Domain, alarm: dict[str, Any]) -> None:
    if not app.settings.trigger_drift:
        return
    with reading(app.database) as session:
        line = serving_line(session)
    if line is None:
        return
    asked = ask(app, line, domain.name, {"kind": "drift", "moved": alarm["moved"], "images": alarm["images"]})
    with writing(app.database) as session:
        row = _find(session, domain)
        if row.alarm is not None:
            row.alarm = row.alarm | {"round": asked.id}


def _end_learned(app: App) -> None:
    """Restarts the watches whose alarm asked for a round that production has learned from."""
    with reading(app.database) as session:
        open_alarms = select(DriftMonitor, Domain.name).join(Domain, Domain.id == DriftMonitor.domain_id)
        alarmed = session.execute(open_alarms.where(DriftMonitor.alarm.is_not(None))).all()
        serves = session.get(Alias, PRODUCTION) if alarmed else None
        if serves is None:
            return
        learned = {version.id for version in ancestry(session, session.get_one(ModelVersion, serves.model_id))}
        rounds = {name: session.get(Round, (row.alarm or {}).get("round", 0)) for row, name in alarmed}
    for name, asked in rounds.items():
        if asked is not None and asked.model_id in learned:
            restart_watch(app, SYSTEM, name)


def _find(session: Session, domain: Domain) -> DriftMonitor:
    row = session.get(DriftMonitor, domain.id, populate_existing=True)
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
