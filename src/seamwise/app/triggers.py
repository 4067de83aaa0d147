"""Triggers: what asks for a round of training - enough reviews, time, or drift - and what is done about it."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from seamwise.app.actor import SYSTEM
from seamwise.app.aliases import PRODUCTION
from seamwise.app.app import App
from seamwise.app.plans import NewTraining
from seamwise.app.rounds import propose
from seamwise.app.trainings import start_training
from seamwise.errors import SeamwiseError
from seamwise.settings import Settings
from seamwise.storage.columns import utc_now
from seamwise.storage.database import reading, writing
from seamwise.storage.tables import (
    Alias,
    Annotation,
    Domain,
    Image,
    ModelVersion,
    Review,
    Round,
    RoundState,
    SnapshotItem,
)

LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Waiting:
    """Reviews of a domain that no round of a line has taken up. images: that they are about; last: the newest's id."""

    images: int
    last: int
    oldest_at: datetime | None
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
    with reading(app.database) as session:
        line = serving_line(session)
        cause = None if line is None else due(session, app.settings, line, domain)
    if line is None or cause is None:
        return None
    return ask(app, line, domain, cause)


def look_at_all(app: App) -> None:
    """The same for every domain; where the policy starts rounds, tries those again that could not be started."""
    with reading(app.database) as session:
        names = list(session.scalars(select(Domain.name).order_by(Domain.name)))
        waiting = select(Round).where(Round.state == RoundState.PROPOSED, Round.created_by == SYSTEM.name)
        proposed = list(session.scalars(waiting.order_by(Round.id)))
    for name in names:
        look(app, name)
    if app.settings.trigger_policy == "start":
        for row in proposed:
            _start(app, row)


def ask(app: App, line: str, domain: str, cause: dict[str, Any]) -> Round:
    """Proposes a round, and starts it where that is the policy."""
    with writing(app.database) as session:
        row = propose(session, line, domain, cause, SYSTEM)
    if app.settings.trigger_policy == "start" and row.state is RoundState.PROPOSED:
        _start(app, row)
    return row


def serving_line(session: Session) -> str | None:
    """The model line that serves, which is the one that learns; None while nothing serves."""
    serves = select(ModelVersion.line).join(Alias, Alias.model_id == ModelVersion.id).where(Alias.name == PRODUCTION)
    return session.scalar(serves)


def due(session: Session, settings: Settings, line: str, domain: str) -> dict[str, Any] | None:
    """The cause of a round that is due by reviews or by time; None while none is."""
    waiting = count_waiting(session, line, domain)
    if waiting.images == 0:
        return None
    figures = {"reviews": waiting.images, "last_review": waiting.last}
    if settings.trigger_reviews and waiting.images >= settings.trigger_reviews:
        return {"kind": "reviews", **figures}
    since = waiting.newest_round_at or waiting.oldest_at
    if settings.trigger_hours and since and utc_now() - since >= timedelta(hours=settings.trigger_hours):
        return {"kind": "time", "hours": settings.trigger_hours, **figures}
    return None


def count_waiting(session: Session, line: str, domain: str) -> Waiting:
    """What was reviewed in a domain since a round of the line was asked for it, and is in none of the line's rounds."""
    rounds = [
        row
        for row in session.scalars(select(Round).where(Round.line == line).order_by(Round.id))
        if row.cause.get("domain") == domain
    ]
    seen = max((row.cause.get("last_review", 0) for row in rounds), default=0)
    taken = (
        select(SnapshotItem.annotation_id)
        .join(Round, Round.snapshot_id == SnapshotItem.snapshot_id)
        .where(Round.line == line)
    )
    images, last, oldest = session.execute(
        select(func.count(Annotation.image_id.distinct()), func.max(Review.id), func.min(Review.created_at))
        .select_from(Review)
        .join(Annotation, Annotation.id == Review.annotation_id)
        .join(Image, Image.id == Annotation.image_id)
        .join(Domain, Domain.id == Image.domain_id)
        .where(Domain.name == domain, Review.id > seen, Annotation.id.not_in(taken), Image.deleted_at.is_(None))
    ).one()
    return Waiting(images, last or 0, oldest, rounds[-1].created_at if rounds else None)


def _start(app: App, row: Round) -> None:
    """Starts a proposed round on what was reviewed since the line last learned its domain."""
    spec = NewTraining(line=row.line, domain=row.cause["domain"], mode="online", round=row.id)
    try:
        start_training(app, SYSTEM, spec)
    except SeamwiseError as error:  # another training holds the line, or nothing is labelled yet: it stays proposed
        LOG.info("round %s of line %s is not started yet: %s", row.number, row.line, error)
