"""Who did what; the events are written beside what they tell (`seamwise.storage.audit`) and only read here."""

from __future__ import annotations

from sqlalchemy import select

from seamwise.app.actor import Actor, require
from seamwise.app.app import App
from seamwise.storage.database import reading
from seamwise.storage.rows import Page, page
from seamwise.storage.tables import AuditEvent, Role


def list_events(
    app: App,
    actor: Actor,
    *,
    by: str | None = None,
    subject: str | None = None,
    cursor: str | None = None,
    limit: int = 50,
) -> Page[AuditEvent]:
    """A page of events, newest first. by: such as `key/3`. subject: such as `job/12`."""
    require(actor, Role.ADMIN)
    rows = select(AuditEvent)
    if by is not None:
        rows = rows.where(AuditEvent.actor == by)
    if subject is not None:
        rows = rows.where(AuditEvent.subject == subject)
    with reading(app.database) as session:
        return page(session, rows, AuditEvent.id, cursor=cursor, limit=limit)
