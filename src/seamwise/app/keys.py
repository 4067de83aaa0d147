"""Keys to the API: made once and shown once, kept as hashes, each with a role."""

from __future__ import annotations

import hashlib
import re
import secrets
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated

from pydantic import Field
from sqlalchemy import func, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from seamwise.app.actor import SYSTEM, Actor, ForbiddenError, require
from seamwise.app.app import App
from seamwise.app.spec import Spec, Text
from seamwise.errors import NotFoundError, RefusedError
from seamwise.settings import kept_secret
from seamwise.storage.audit import record
from seamwise.storage.columns import utc_now
from seamwise.storage.database import changed, reading, writing
from seamwise.storage.rows import LARGEST_ID, Page, page
from seamwise.storage.tables import Key, Role

PREFIX = "sw_"
_TOKEN = re.compile(PREFIX + r"[A-Za-z0-9_-]{43}")


class NewKey(Spec):
    """A key to be made. name: who or what it is for. days: until it expires; without: never."""

    name: Text
    role: Role
    days: Annotated[int, Field(ge=1, le=36_500)] | None = None


@dataclass(frozen=True)
class MadeKey:
    """A new key; token: the key itself, which is nowhere kept and cannot be shown again."""

    key: Key
    token: str


def create_key(app: App, actor: Actor, spec: NewKey) -> MadeKey:
    """Makes a key."""
    require(actor, Role.ADMIN)
    token = new_token()
    expires = utc_now() + timedelta(days=spec.days) if spec.days else None
    key = Key(name=spec.name, hash=hash_of(token), role=spec.role, created_by=actor.name, expires_at=expires)
    with writing(app.database) as session:
        session.add(key)
        session.flush()
        details = {"name": key.name, "role": key.role}
        record(session, actor.name, "key.create", f"key/{key.id}", details, request_id=actor.request_id)
    return MadeKey(key, token)


def list_keys(app: App, actor: Actor, cursor: str | None = None, limit: int = 50) -> Page[Key]:
    """A page of keys, newest first, revoked ones too."""
    require(actor, Role.ADMIN)
    with reading(app.database) as session:
        return page(session, select(Key), Key.id, cursor=cursor, limit=limit)


def get_key(app: App, actor: Actor, key_id: int) -> Key:
    """One key; NotFoundError when there is none of this number."""
    require(actor, Role.ADMIN)
    with reading(app.database) as session:
        return _find_key(session, key_id)


def revoke_key(app: App, actor: Actor, key_id: int) -> Key:
    """Ends a key for good; one that has ended stays as it is. RefusedError for the last one that may make others."""
    require(actor, Role.ADMIN)
    with writing(app.database) as session:
        key = _find_key(session, key_id)
        if key.role is Role.ADMIN and _works(key, utc_now()) and _working_admins(session) == 1:
            raise RefusedError(f"key {key_id} is the last one of an admin: make another one first")
        if changed(session, update(Key).where(Key.id == key_id, Key.revoked_at.is_(None)).values(revoked_at=utc_now())):
            record(session, actor.name, "key.revoke", f"key/{key_id}", request_id=actor.request_id)
        session.refresh(key)
    return key


def actor_of(app: App, token: str, request_id: str | None = None) -> Actor | None:
    """Who holds this key; None for one that was never made, is revoked or has expired."""
    if not _TOKEN.fullmatch(token):
        return None
    with reading(app.database) as session:
        key = session.scalar(select(Key).where(Key.hash == hash_of(token)))
    if key is None or not _works(key, utc_now()):
        return None
    return Actor(f"key/{key.id}", key.role, request_id, key.expires_at)


def require_key(session: Session, actor: Actor) -> None:
    """Raises ForbiddenError where the key that began a long answer has ended since; others than keys do not end."""
    kind, _, number = actor.name.partition("/")
    if kind == "key" and not _works(_find_key(session, int(number)), utc_now()):
        raise ForbiddenError(f"{actor.name} was revoked or has expired")


def keep_first_key(app: App) -> Path:
    """The file with the admin key of an embedded service, made on first start; processes that start at once share it.

    A key of that file that was revoked stays revoked.
    """
    path = app.settings.data / "admin.key"
    token = kept_secret(path, new_token)
    key = Key(name="made on first start", hash=hash_of(token), role=Role.ADMIN, created_by=SYSTEM.name)
    with reading(app.database) as session:
        known = session.scalar(select(Key.id).where(Key.hash == key.hash))
    if known is None:
        with suppress(IntegrityError), writing(app.database) as session:  # another process was sooner
            session.add(key)
            session.flush()
            record(session, SYSTEM.name, "key.create", f"key/{key.id}", {"name": key.name, "role": key.role})
    return path


def new_token() -> str:
    """A key of 256 random bits."""
    return PREFIX + secrets.token_urlsafe(32)


def hash_of(token: str) -> str:
    """What is kept of a key. It has 256 random bits, so that a fast hash without salt is as good as any."""
    return hashlib.sha256(token.encode()).hexdigest()


def _find_key(session: Session, key_id: int) -> Key:
    key = session.get(Key, key_id) if 0 < key_id <= LARGEST_ID else None
    if key is None:
        raise NotFoundError(f"key {key_id}: there is none of this number")
    return key


def _works(key: Key, now: datetime) -> bool:
    return key.revoked_at is None and (key.expires_at is None or key.expires_at > now)


def _working_admins(session: Session) -> int:
    working = (Key.revoked_at.is_(None), or_(Key.expires_at.is_(None), Key.expires_at > utc_now()))
    return session.scalar(select(func.count()).select_from(Key).where(Key.role == Role.ADMIN, *working)) or 0
