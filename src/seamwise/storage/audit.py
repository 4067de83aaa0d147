"""Writes down who did what; nothing takes it back."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from seamwise.storage.tables import AuditEvent


def record(
    session: Session,
    actor: str,
    action: str,
    subject: str,
    details: dict[str, Any] | None = None,
    request_id: str | None = None,
) -> None:
    """Adds an audit event to the transaction of what it tells: both happen or neither does.

    actor: such as `key/3`; action: such as `job.cancel`; subject: the record, such as `job/12`.
    """
    session.add(AuditEvent(actor=actor, action=action, subject=subject, details=details, request_id=request_id))
