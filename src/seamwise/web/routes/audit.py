"""/audit: who did what."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query

from seamwise.app import audit
from seamwise.web.asking import ActorOf, AppOf, Cursor, Limit
from seamwise.web.shapes import Listed, Shape

router = APIRouter(prefix="/audit", tags=["audit"])


class EventShape(Shape):
    """Something done. actor: such as `key/3`; subject: the record, such as `job/12`."""

    id: int
    actor: str
    action: str
    subject: str
    details: dict[str, Any] | None
    request_id: str | None
    at: datetime


@router.get("", response_model=Listed[EventShape])
def listing(
    app: AppOf,
    actor: ActorOf,
    by: Annotated[str | None, Query(max_length=100, description="Who did it, such as `key/3`.")] = None,
    subject: Annotated[str | None, Query(max_length=100, description="To which record, such as `job/12`.")] = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Any:
    """A page of events, newest first; none can be changed or removed."""
    return audit.list_events(app, actor, by=by, subject=subject, cursor=cursor, limit=limit)
