"""/domains: kinds of pictures."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from fastapi import APIRouter, Response

from seamwise.app import domains
from seamwise.web.asking import ActorOf, AppOf, Cursor, Limit
from seamwise.web.shapes import Listed, Shape

router = APIRouter(prefix="/domains", tags=["domains"])


class DomainShape(Shape):
    """A kind of pictures."""

    name: str
    modality: str
    classes: list[str]
    ignore: int | None
    pitch_mm: float | None
    created_by: str
    created_at: datetime


@router.post("", status_code=201, response_model=DomainShape)
def create(app: AppOf, actor: ActorOf, spec: domains.NewDomain, response: Response) -> Any:
    """Makes a domain."""
    response.headers["Location"] = f"/api/v1/domains/{spec.name}"
    return domains.create_domain(app, actor, spec)


@router.get("", response_model=Listed[DomainShape])
def listing(app: AppOf, actor: ActorOf, cursor: Cursor = None, limit: Limit = 50) -> Any:
    """A page of domains, oldest first."""
    return domains.list_domains(app, actor, cursor, limit)


@router.get("/{name}", response_model=DomainShape)
def one(app: AppOf, actor: ActorOf, name: str) -> Any:
    """One domain."""
    return domains.get_domain(app, actor, name)
