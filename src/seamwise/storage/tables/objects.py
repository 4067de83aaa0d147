"""Stored bytes: one row for each content."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint
from sqlalchemy.orm import Mapped, mapped_column

from seamwise.storage.columns import Row, utc_now


class StoredObject(Row):
    """Bytes in the object store: the row is their commit point, and one content has one row.

    Other tables name the content by its hash; only this row knows the key under which the store keeps it.
    """

    __tablename__ = "object"
    __table_args__ = (CheckConstraint("size >= 0", name="size"),)

    sha256: Mapped[str] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(unique=True)
    size: Mapped[int]
    created_at: Mapped[datetime] = mapped_column(default_factory=utc_now)
