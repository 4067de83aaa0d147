"""/aliases: names such as `production`, the versions they stand for, and their history."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Path

from seamwise.app import aliases, promotion
from seamwise.storage.tables import AliasAction
from seamwise.web.asking import ActorOf, AppOf, Cursor, Limit
from seamwise.web.shapes import Listed, Shape

router = APIRouter(prefix="/aliases", tags=["aliases"])
AliasName = Annotated[str, Path(pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$", description="Such as `production`.")]


class AliasShape(Shape):
    """A name for one version. sequence: counts its changes."""

    name: str
    version: str
    sequence: int
    changed_at: datetime


class ChangeShape(Shape):
    """A change, or a refused one. sequence: the alias's after the change. verdict: the gate's, with its figures."""

    id: int
    sequence: int | None
    action: AliasAction
    before: str | None
    after: str
    reason: str
    verdict: dict[str, Any] | None
    actor: str
    at: datetime


@router.get("", response_model=list[AliasShape])
def listing(app: AppOf, actor: ActorOf) -> Any:
    """All aliases."""
    return aliases.list_aliases(app, actor)


@router.get("/{name}", response_model=AliasShape)
def one(app: AppOf, actor: ActorOf, name: AliasName) -> Any:
    """One alias."""
    return aliases.get_alias(app, actor, name)


@router.put("/{name}", response_model=AliasShape)
def promote(app: AppOf, actor: ActorOf, name: AliasName, spec: promotion.Promotion) -> Any:
    """Promotes a version, if the gate passes it; 409 with the figures if not. `force` takes an admin."""
    return promotion.promote(app, actor, name, spec)


@router.get("/{name}/history", response_model=Listed[ChangeShape])
def history(app: AppOf, actor: ActorOf, name: AliasName, cursor: Cursor = None, limit: Limit = 50) -> Any:
    """A page of changes and refusals, newest first."""
    return aliases.read_history(app, actor, name, cursor, limit)


@router.post("/{name}/rollback", response_model=AliasShape)
def rollback(app: AppOf, actor: ActorOf, name: AliasName, spec: aliases.Rollback) -> Any:
    """Goes back to the version that served before."""
    return aliases.rollback(app, actor, name, spec)
