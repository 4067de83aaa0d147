"""/keys: who may use the API, and as what."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from fastapi import APIRouter, Response

from seamwise.app import keys
from seamwise.storage.tables import Role
from seamwise.web.asking import ActorOf, AppOf, Cursor, Limit
from seamwise.web.ids import Id
from seamwise.web.shapes import Listed, Shape

router = APIRouter(prefix="/keys", tags=["keys"])


class KeyShape(Shape):
    """A key, without the key itself."""

    id: int
    name: str
    role: Role
    created_by: str
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None


class MadeKeyShape(Shape):
    """A new key. token: the key itself; this is the only time it is shown."""

    key: KeyShape
    token: str


@router.post("", status_code=201, response_model=MadeKeyShape)
def create(app: AppOf, actor: ActorOf, spec: keys.NewKey, response: Response) -> Any:
    """Makes a key."""
    made = keys.create_key(app, actor, spec)
    response.headers["Location"] = f"/api/v1/keys/{made.key.id}"
    return made


@router.get("", response_model=Listed[KeyShape])
def listing(app: AppOf, actor: ActorOf, cursor: Cursor = None, limit: Limit = 50) -> Any:
    """A page of keys, newest first, revoked ones too."""
    return keys.list_keys(app, actor, cursor, limit)


@router.get("/{key_id}", response_model=KeyShape)
def one(app: AppOf, actor: ActorOf, key_id: Id) -> Any:
    """One key."""
    return keys.get_key(app, actor, key_id)


@router.delete("/{key_id}", response_model=KeyShape)
def revoke(app: AppOf, actor: ActorOf, key_id: Id) -> Any:
    """Ends a key for good."""
    return keys.revoke_key(app, actor, key_id)
