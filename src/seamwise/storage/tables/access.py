"""Who may do what, who did what, and which requests were seen before."""

from __future__ import annotations

import enum
from datetime import datetime
from typing import Any

from sqlalchemy import Index
from sqlalchemy.orm import Mapped, mapped_column

from seamwise.storage.columns import Numbered, Row, utc_now


class Role(enum.StrEnum):
    """What a key may do, from least to most; each may do what those before it may."""

    VIEWER = "viewer"
    INSPECTOR = "inspector"
    TRAINER = "trainer"
    ADMIN = "admin"


class Key(Numbered, Row):
    """A key to the API; the key itself is nowhere kept, only its hash."""

    __tablename__ = "key"

    name: Mapped[str]
    hash: Mapped[str] = mapped_column(unique=True)
    role: Mapped[Role]
    created_by: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(default_factory=utc_now)
    expires_at: Mapped[datetime | None] = mapped_column(default=None)
    revoked_at: Mapped[datetime | None] = mapped_column(default=None)


class AuditEvent(Numbered, Row):
    """Something done: who, what and to which record (such as `job/12`). Append-only."""

    __tablename__ = "audit_event"
    __table_args__ = (Index(None, "actor", "id"), Index(None, "subject", "id"))

    actor: Mapped[str]
    action: Mapped[str]
    subject: Mapped[str]
    details: Mapped[dict[str, Any] | None] = mapped_column(default=None)
    request_id: Mapped[str | None] = mapped_column(default=None)
    at: Mapped[datetime] = mapped_column(default_factory=utc_now)


class IdempotencyKey(Row):
    """A request seen before: its hash, and the record it made (such as `job/12`)."""

    __tablename__ = "idempotency_key"

    actor: Mapped[str] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    request_hash: Mapped[str]
    record: Mapped[str | None] = mapped_column(default=None)
    created_at: Mapped[datetime] = mapped_column(default_factory=utc_now, index=True)
