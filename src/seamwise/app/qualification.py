"""Qualification sets: the frozen test images of each domain, on which every candidate is judged."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from seamwise.app.actor import Actor, require
from seamwise.app.app import App
from seamwise.app.domains import find_domain
from seamwise.app.snapshots import freeze
from seamwise.app.spec import Name, Spec, Text
from seamwise.storage.audit import record
from seamwise.storage.database import reading, writing
from seamwise.storage.tables import Domain, QualificationSet, Role, Snapshot, SnapshotKind


class NewQualificationSet(Spec):
    """A domain whose labelled test images shall be judged on from now on, and why."""

    domain: Name
    reason: Text


def freeze_set(app: App, actor: Actor, domain: str, reason: str) -> QualificationSet:
    """Freezes a domain's labelled test images as the set that counts. RefusedError when there are none."""
    require(actor, Role.TRAINER)
    with writing(app.database) as session:
        found = find_domain(session, domain)
        session.execute(select(Domain.id).where(Domain.id == found.id).with_for_update())  # two at once take turns
        snapshot = freeze(session, kind=SnapshotKind.QUALIFICATION, domain_ids=[found.id], actor=actor.name)
        of_domain = select(func.max(QualificationSet.number)).where(QualificationSet.domain_id == found.id)
        row = QualificationSet(
            domain_id=found.id,
            number=(session.scalar(of_domain) or 0) + 1,
            snapshot_id=snapshot.id,
            reason=reason,
            created_by=actor.name,
        )
        session.add(row)
        session.flush()
        record(
            session,
            actor.name,
            "qualification.freeze",
            f"qualification/{row.id}",
            {"domain": domain, "reason": reason, "size": snapshot.size},
            actor.request_id,
        )
        return row


def current_sets(session: Session) -> list[QualificationSet]:
    """The set that counts of each domain that has one, by the domains' names."""
    newest = select(func.max(QualificationSet.id)).group_by(QualificationSet.domain_id)
    rows = (
        select(QualificationSet)
        .join(Domain, Domain.id == QualificationSet.domain_id)
        .where(QualificationSet.id.in_(newest))
        .order_by(Domain.name)
    )
    return list(session.scalars(rows))


@dataclass(frozen=True)
class Described:
    """A qualification set as people name it."""

    domain: str
    number: int
    snapshot_id: int
    size: int
    reason: str
    created_by: str
    created_at: datetime


def described(app: App, actor: Actor, row: QualificationSet) -> Described:
    """A set with its domain's name and its size."""
    require(actor, Role.VIEWER)
    with reading(app.database) as session:
        return _described(session, row)


def list_current(app: App, actor: Actor) -> list[Described]:
    """The set that counts of each domain that has one, by the domains' names."""
    require(actor, Role.VIEWER)
    with reading(app.database) as session:
        return [_described(session, row) for row in current_sets(session)]


def _described(session: Session, row: QualificationSet) -> Described:
    domain, snapshot = session.get_one(Domain, row.domain_id), session.get_one(Snapshot, row.snapshot_id)
    return Described(
        domain.name, row.number, row.snapshot_id, snapshot.size, row.reason, row.created_by, row.created_at
    )
