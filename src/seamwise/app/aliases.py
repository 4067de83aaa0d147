"""Aliases: names such as `production` for one version each, with a history that only grows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from seamwise.app.actor import Actor, require
from seamwise.app.app import App
from seamwise.app.models import name_of
from seamwise.app.spec import Spec, Text
from seamwise.errors import NotFoundError, RefusedError
from seamwise.storage.audit import record
from seamwise.storage.columns import utc_now
from seamwise.storage.database import changed, reading, writing
from seamwise.storage.rows import insert_unless_there, page
from seamwise.storage.tables import Alias, AliasAction, AliasHistory, ModelVersion, Role

PRODUCTION = "production"
_CHANGES = (AliasAction.PROMOTED, AliasAction.FORCED, AliasAction.ROLLED_BACK)


@dataclass(frozen=True)
class NamedVersion:
    """An alias as it stands. version: `LINE/NUMBER`. sequence: counts its changes."""

    name: str
    version: str
    sequence: int
    changed_at: datetime


@dataclass(frozen=True)
class Step:
    """A change of an alias, or a refused one. before, after: versions; sequence: after a change, None for a refusal."""

    id: int
    sequence: int | None
    action: AliasAction
    before: str | None
    after: str
    reason: str
    verdict: dict[str, Any] | None
    actor: str
    at: datetime


@dataclass(frozen=True)
class Steps:
    """A page of an alias's history."""

    items: tuple[Step, ...]
    next: str | None


class Rollback(Spec):
    """Why an alias goes back to the version before."""

    reason: Text


@dataclass(frozen=True)
class Change:
    """A change of an alias that was decided. sequence: the alias's, on which the decision rests; 0: there was none."""

    alias: str
    sequence: int
    action: AliasAction
    from_id: int | None
    to_id: int
    reason: str


def list_aliases(app: App, actor: Actor) -> list[NamedVersion]:
    """All aliases by name: there are never many."""
    require(actor, Role.VIEWER)
    with reading(app.database) as session:
        return [named(session, alias) for alias in session.scalars(select(Alias).order_by(Alias.name))]


def get_alias(app: App, actor: Actor, name: str) -> NamedVersion:
    """One alias; NotFoundError when there is none."""
    require(actor, Role.VIEWER)
    with reading(app.database) as session:
        return named(session, find_alias(session, name))


def find_alias(session: Session, name: str) -> Alias:
    """The alias of a name, within a transaction; NotFoundError when there is none."""
    alias = session.get(Alias, name, populate_existing=True)
    if alias is None:
        raise NotFoundError(f"alias {name[:64]!r}: there is none; promote a version to make it")
    return alias


def read_history(app: App, actor: Actor, name: str, cursor: str | None = None, limit: int = 50) -> Steps:
    """A page of an alias's changes and refusals, newest first; NotFoundError for a name that never was one."""
    require(actor, Role.VIEWER)
    with reading(app.database) as session:
        rows = select(AliasHistory).where(AliasHistory.alias == name)
        found = page(session, rows, AliasHistory.id, cursor=cursor, limit=limit)
        if not found.items and cursor is None:  # refusals alone make a history too
            find_alias(session, name)
        return Steps(tuple(_step(session, row) for row in found.items), found.next)


def rollback(app: App, actor: Actor, name: str, spec: Rollback) -> NamedVersion:
    """Goes back to the version that served before the present one; again, to the one before that.

    Asks no gate: that version has served. RefusedError when none was before.
    """
    require(actor, Role.TRAINER)
    with writing(app.database) as session:
        alias = find_alias(session, name)
        stack = accepted(session, name)
        if len(stack) < 2:
            raise RefusedError(f"alias {name}: no version served before the present one; promote another instead")
        change = Change(
            alias=name,
            sequence=alias.sequence,
            action=AliasAction.ROLLED_BACK,
            from_id=alias.model_id,
            to_id=stack[-2],
            reason=spec.reason,
        )
        return apply(session, actor, change)


def accepted(session: Session, name: str) -> list[int]:
    """The versions that an alias was promoted to and not rolled back from, oldest first; the last one is present."""
    rows = select(AliasHistory).where(AliasHistory.alias == name, AliasHistory.action.in_(_CHANGES))
    stack: list[int] = []
    for row in session.scalars(rows.order_by(AliasHistory.sequence)):
        if row.action is AliasAction.ROLLED_BACK:
            stack.pop()
        else:
            stack.append(row.to_id)
    return stack


def apply(session: Session, actor: Actor, change: Change, verdict: dict[str, Any] | None = None) -> NamedVersion:
    """Makes a decided change, unless the alias has changed since: then RefusedError, and nothing of it stays."""
    now, after = utc_now(), change.sequence + 1
    if change.sequence == 0:
        done = insert_unless_there(
            session, Alias(name=change.alias, model_id=change.to_id, sequence=after, changed_at=now)
        )
    else:
        same = (Alias.name == change.alias, Alias.sequence == change.sequence)
        moved = update(Alias).where(*same).values(model_id=change.to_id, sequence=after, changed_at=now)
        done = changed(session, moved) == 1
    if not done:
        raise RefusedError(f"alias {change.alias}: it changed meanwhile; look at its history and decide again")
    _write_down(session, actor, change, verdict, after)
    now_named = named(session, find_alias(session, change.alias))
    details = {"sequence": after, "to": now_named.version, "reason": change.reason}
    action = f"alias.{change.action.replace(' ', '_')}"
    record(session, actor.name, action, f"alias/{change.alias}", details, actor.request_id)
    return now_named


def write_refusal(session: Session, actor: Actor, change: Change, verdict: dict[str, Any] | None) -> None:
    """Writes down a promotion that the gate refused."""
    _write_down(session, actor, change, verdict, None)
    details = {"to": _name(session, change.to_id), "reason": change.reason}
    record(session, actor.name, "alias.refuse", f"alias/{change.alias}", details, actor.request_id)


def _write_down(
    session: Session, actor: Actor, change: Change, verdict: dict[str, Any] | None, sequence: int | None
) -> None:
    session.add(
        AliasHistory(
            alias=change.alias,
            sequence=sequence,
            action=change.action,
            from_id=change.from_id,
            to_id=change.to_id,
            reason=change.reason,
            verdict=verdict,
            actor=actor.name,
        )
    )
    session.flush()


def named(session: Session, alias: Alias) -> NamedVersion:
    """An alias with its version's name."""
    return NamedVersion(alias.name, _name(session, alias.model_id), alias.sequence, alias.changed_at)


def _step(session: Session, row: AliasHistory) -> Step:
    before = None if row.from_id is None else _name(session, row.from_id)
    after = _name(session, row.to_id)
    return Step(row.id, row.sequence, row.action, before, after, row.reason, row.verdict, row.actor, row.at)


def _name(session: Session, model_id: int) -> str:
    return name_of(session.get_one(ModelVersion, model_id))
