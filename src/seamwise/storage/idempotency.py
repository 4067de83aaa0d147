"""Requests sent twice: the second is answered with the record that the first one made."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

from sqlalchemy import update
from sqlalchemy.orm import Session

from seamwise.errors import RefusedError
from seamwise.storage.columns import canonical_json
from seamwise.storage.database import changed
from seamwise.storage.rows import insert_unless_there
from seamwise.storage.tables import IdempotencyKey


@dataclass(frozen=True)
class Request:
    """A request that its sender may repeat: who sent it, under which key, and the hash of what it asked."""

    actor: str
    key: str
    hash: str

    @classmethod
    def of(cls, actor: str, key: str, content: Any) -> Request:
        """Names a request by its sender, the sender's key, and its JSON content."""
        return cls(actor, key, hashlib.sha256(canonical_json(content).encode()).hexdigest())


def seen_before(session: Session, request: Request) -> str | None:
    """The record (such as `job/12`) that this request made before, or None for a new one, which is then noted.

    Two at once wait for each other here. Raises RefusedError when the key came with another request.
    """
    new = IdempotencyKey(actor=request.actor, key=request.key, request_hash=request.hash)
    if insert_unless_there(session, new):
        return None
    known = session.get_one(IdempotencyKey, (request.actor, request.key))
    if known.request_hash != request.hash:
        raise RefusedError(f"idempotency key {request.key!r} was used for another request; choose a new key")
    return known.record


def is_known(session: Session, request: Request) -> bool:
    """Whether `seen_before` will know the key, asked without a writing transaction."""
    return session.get(IdempotencyKey, (request.actor, request.key)) is not None


def note_record(session: Session, request: Request, record: str) -> None:
    """Says which record a new request made, in the transaction that makes it."""
    key = (IdempotencyKey.actor == request.actor) & (IdempotencyKey.key == request.key)
    changed(session, update(IdempotencyKey).where(key).values(record=record))
