"""Rounds: the numbered trainings of a model line, proposed, started, finished or dismissed."""

from __future__ import annotations

from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from seamwise.app.actor import Actor, require
from seamwise.app.app import App
from seamwise.errors import NotFoundError, RefusedError
from seamwise.storage.audit import record
from seamwise.storage.database import changed, reading, writing
from seamwise.storage.rows import LARGEST_ID, Page, page
from seamwise.storage.tables import Role, Round, RoundState


def propose(session: Session, line: str, domain: str, cause: dict[str, Any], actor: Actor) -> Round:
    """Proposes that a line learns what is new of a domain; an open proposal for both stays the one there is.

    cause: what asked for it, as JSON values; `domain` is added. A training takes it up by its number.
    """
    for known in session.scalars(select(Round).where(Round.line == line, Round.state == RoundState.PROPOSED)):
        if known.cause.get("domain") == domain:
            return known
    row = add_round(session, line, RoundState.PROPOSED, {**cause, "domain": domain}, actor)
    record(session, actor.name, "round.propose", f"round/{row.id}", row.cause, actor.request_id)
    return row


def add_round(session: Session, line: str, state: RoundState, cause: dict[str, Any], actor: Actor) -> Round:
    """A new round with the next number of its line; RefusedError where another takes that number at this moment."""
    number = session.scalar(select(func.max(Round.number)).where(Round.line == line)) or 0
    row = Round(line=line, number=number + 1, state=state, cause=cause, created_by=actor.name)
    try:
        with session.begin_nested():
            session.add(row)
    except IntegrityError as error:
        raise RefusedError(f"model line {line!r}: another round of it began at this moment; try again") from error
    return row


def find_round(session: Session, round_id: int) -> Round:
    """The round of an id, within a transaction; NotFoundError when there is none."""
    row = session.get(Round, round_id, populate_existing=True) if 0 < round_id <= LARGEST_ID else None
    if row is None:
        raise NotFoundError(f"round {round_id}: there is none of this number")
    return row


def take_up(session: Session, round_id: int, line: str, domain: str) -> Round:
    """Makes a proposed round a started one. RefusedError for another line's or domain's, or one not proposed."""
    row = find_round(session, round_id)
    if row.line != line or row.cause.get("domain") != domain:
        raise RefusedError(f"round {round_id} is for {row.cause.get('domain')} in line {row.line}: name those")
    _leave_proposed(session, row, RoundState.STARTED)
    return row


def dismiss_round(app: App, actor: Actor, round_id: int) -> Round:
    """Turns down a proposed round; RefusedError for any other."""
    require(actor, Role.TRAINER)
    with writing(app.database) as session:
        row = find_round(session, round_id)
        _leave_proposed(session, row, RoundState.DISMISSED)
        record(session, actor.name, "round.dismiss", f"round/{round_id}", request_id=actor.request_id)
        return row


def get_round(app: App, actor: Actor, round_id: int) -> Round:
    """One round."""
    require(actor, Role.VIEWER)
    with reading(app.database) as session:
        return find_round(session, round_id)


def list_rounds(
    app: App,
    actor: Actor,
    *,
    line: str | None = None,
    state: RoundState | None = None,
    cursor: str | None = None,
    limit: int = 50,
) -> Page[Round]:
    """A page of rounds, newest first."""
    require(actor, Role.VIEWER)
    rows = select(Round)
    for column, value in ((Round.line, line), (Round.state, state)):
        if value is not None:
            rows = rows.where(column == value)
    with reading(app.database) as session:
        return page(session, rows, Round.id, cursor=cursor, limit=limit)


def _leave_proposed(session: Session, row: Round, state: RoundState) -> None:
    """Compare-and-set: of two that take up or dismiss one proposal, one does."""
    proposed = (Round.id == row.id, Round.state == RoundState.PROPOSED)
    if not changed(session, update(Round).where(*proposed).values(state=state)):
        raise RefusedError(f"round {row.id} is {row.state}, no longer proposed")
    session.refresh(row)
