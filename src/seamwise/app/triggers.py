"""Triggers: what asks for a round of training - enough reviews, time, or drift - and what is done about it."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import case, func, select
from sqlalchemy.orm import Session, aliased

from seamwise.app.actor import SYSTEM
from seamwise.app.aliases import PRODUCTION
from seamwise.app.annotations import TRUSTED
from seamwise.app.app import App
from seamwise.app.plans import NewTraining
from seamwise.app.rounds import propose
from seamwise.app.trainings import has_news, start_training
from seamwise.errors import SeamwiseError
from seamwise.settings import Settings
from seamwise.storage.columns import utc_now
from seamwise.storage.database import reading, writing
from seamwise.storage.rows import LARGEST_ID
from seamwise.storage.tables import (
    Alias,
    Annotation,
    Domain,
    Image,
    Job,
    ModelVersion,
    Review,
    Round,
    RoundState,
    SnapshotItem,
)
from seamwise.tasks.states import UNFINISHED

LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Waiting:
    """Reviews of a domain that no round of a line has taken up. images: that they are about; last: the newest's id.

    newest_round_at: when a round was last asked for the domain; None: never.
    """

    images: int
    last: int
    oldest_at: datetime
    newest_round_at: datetime | None


def after_review(app: App, image_id: int) -> Round | None:
    """Looks whether a review of this image was the one that asks for a round; what fails here fails no review."""
    try:
        with reading(app.database) as session:
            domain = session.scalar(
                select(Domain.name).join(Image, Image.domain_id == Domain.id).where(Image.id == image_id)
            )
        return None if domain is None else look(app, domain)
    except SeamwiseError as error:
        LOG.warning("image %s: its review may ask for a round, which could not be looked at (%s)", image_id, error)
        return None


def look(app: App, domain: str) -> Round | None:
    """Asks for a round where the domain's reviews or the hours since its last round say so."""
    return next(iter(_look_at(app, domain)), None)


def look_at_all(app: App) -> None:
    """The same for every domain; where the policy starts rounds, tries those again that could not be started."""
    asked = {row.id for row in _look_at(app)}
    with reading(app.database) as session:
        waiting = select(Round).where(Round.state == RoundState.PROPOSED, Round.created_by == SYSTEM.name)
        proposed = list(session.scalars(waiting.order_by(Round.id)))
    for row in proposed:
        if row.id not in asked:  # else it was tried just now
            start_if_wished(app, row)


def _look_at(app: App, domain: str | None = None) -> list[Round]:
    """Asks for the rounds that are due, of one domain or of all."""
    with reading(app.database) as session:
        line = serving_line(session)
        causes = {} if line is None else due(session, app.settings, line, domain)
    return [ask(app, line, name, cause) for name, cause in causes.items()] if line is not None else []


def ask(app: App, line: str, domain: str, cause: dict[str, Any]) -> Round:
    """Proposes a round, and starts it where that is the policy."""
    with writing(app.database) as session:
        row = propose(session, line, domain, cause, SYSTEM)
    start_if_wished(app, row)
    return row


def start_if_wished(app: App, row: Round) -> None:
    """Starts a proposed round where that is the policy; one that cannot be started yet stays proposed."""
    if app.settings.trigger_policy == "start" and row.state is RoundState.PROPOSED:
        _start(app, row)


def serving_line(session: Session) -> str | None:
    """The model line that serves, which is the one that learns; None while nothing serves."""
    serves = select(ModelVersion.line).join(Alias, Alias.model_id == ModelVersion.id).where(Alias.name == PRODUCTION)
    return session.scalar(serves)


def due(session: Session, settings: Settings, line: str, domain: str | None = None) -> dict[str, dict[str, Any]]:
    """The causes of rounds that are due by reviews or by time, by domain. domain: only this one."""
    if not settings.trigger_reviews and not settings.trigger_hours:
        return {}
    waiting = count_waiting(session, line, domain)
    causes = {name: _cause(settings, found) for name, found in waiting.items()}
    return {name: cause for name, cause in causes.items() if cause is not None}


def _cause(settings: Settings, waiting: Waiting) -> dict[str, Any] | None:
    figures = {"reviews": waiting.images, "last_review": waiting.last}
    if settings.trigger_reviews and waiting.images >= settings.trigger_reviews:
        return {"kind": "reviews", **figures}
    since = waiting.newest_round_at or waiting.oldest_at
    if settings.trigger_hours and utc_now() - since >= timedelta(hours=settings.trigger_hours):
        return {"kind": "time", "hours": settings.trigger_hours, **figures}
    return None


def count_waiting(session: Session, line: str, domain: str | None = None) -> dict[str, Waiting]:
    """The images reviewed since a round of the line was asked for them, whose last word a training would take and none
    of the line's rounds has.

    By domain, where there is anything. domain: only this one.
    """
    wanted = select(Domain) if domain is None else select(Domain).where(Domain.name == domain)
    domains = {row.id: row for row in session.scalars(wanted)}
    names = {number: row.name for number, row in domains.items()}
    asked_at, seen = _asked(session, line)
    last_seen = {number: seen.get(name, 0) for number, name in names.items()}
    if not last_seen:
        return {}
    last, later = aliased(Annotation), aliased(Annotation)
    newer = select(later.id).where(later.image_id == Image.id, later.origin.in_(TRUSTED), later.number > last.number)
    taken = (
        select(SnapshotItem.image_id)
        .join(Round, Round.snapshot_id == SnapshotItem.snapshot_id)
        .where(Round.line == line, SnapshotItem.image_id == Image.id, SnapshotItem.annotation_id == last.id)
    )
    background = case({number: row.classes[0] for number, row in domains.items()}, value=Image.domain_id)
    # One walk over the newest reviews for all domains: by domain it would be one over all of each domain's images.
    rows = session.execute(
        select(Image.domain_id, func.count(Image.id.distinct()), func.max(Review.id), func.min(Review.created_at))
        .select_from(Review)
        .join(Annotation, Annotation.id == Review.annotation_id)
        .join(Image, Image.id == Annotation.image_id)
        .join(last, last.image_id == Image.id)
        .where(
            Review.id > min(last_seen.values()),
            Review.id > case(last_seen, value=Image.domain_id, else_=LARGEST_ID),
            Image.deleted_at.is_(None),
            last.origin.in_(TRUSTED),
            last.mask_sha256.is_not(None) | (last.label == background),  # as `entries.labelled` takes them
            ~newer.exists(),
            ~taken.exists(),
        )
        .group_by(Image.domain_id)
        .order_by(Image.domain_id)
    ).all()
    return {
        names[number]: Waiting(images, last, oldest_at, asked_at.get(names[number]))
        for number, images, last, oldest_at in rows
        if number is not None
    }


def _asked(session: Session, line: str) -> tuple[dict[str, datetime], dict[str, int]]:
    """When a round of a line was last asked for each domain, and the newest review that any of them counted."""
    at: dict[str, datetime] = {}
    seen: dict[str, int] = {}
    rows = select(Round.cause, Round.created_at).where(Round.line == line).order_by(Round.id)
    for cause, created_at in session.execute(rows):
        name = cause.get("domain")
        if name is not None:
            at[name], seen[name] = created_at, max(seen.get(name, 0), cause.get("last_review", 0))
    return at, seen


def _start(app: App, row: Round) -> None:
    """Starts a proposed round on what was reviewed since the line last learned its domain."""
    spec = NewTraining(line=row.line, domain=row.cause["domain"], mode="online", round=row.id)
    try:
        with reading(app.database) as session:  # planning it would first freeze a whole snapshot, to no end
            held = select(Job.id).where(Job.line == row.line, Job.state.in_(UNFINISHED))
            if session.scalar(held.limit(1)) is not None or not has_news(session, spec):
                return
        start_training(app, SYSTEM, spec)
    except SeamwiseError as error:  # another training took the line, or it cannot learn this: it stays proposed
        LOG.info("round %s of line %s is not started yet: %s", row.number, row.line, error)
