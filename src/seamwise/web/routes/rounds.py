"""/rounds: the numbered trainings of each model line, proposed or under way or over."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query

from seamwise.app import rounds
from seamwise.storage.tables import RoundState
from seamwise.web.asking import ActorOf, AppOf, Cursor, Limit
from seamwise.web.ids import Id
from seamwise.web.shapes import Listed, Shape

router = APIRouter(prefix="/rounds", tags=["rounds"])


class RoundShape(Shape):
    """A training of a line, by number. cause: what asked for it, and its domain; figures: what was measured after."""

    id: int
    line: str
    number: int
    state: RoundState
    cause: dict[str, Any]
    parent_id: int | None
    snapshot_id: int | None
    job_id: int | None
    model_id: int | None
    figures: dict[str, Any] | None
    created_by: str
    created_at: datetime


@router.get("", response_model=Listed[RoundShape])
def listing(
    app: AppOf,
    actor: ActorOf,
    line: Annotated[str | None, Query(max_length=63)] = None,
    state: RoundState | None = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Any:
    """A page of rounds, newest first."""
    return rounds.list_rounds(app, actor, line=line, state=state, cursor=cursor, limit=limit)


@router.get("/{round_id}", response_model=RoundShape)
def one(app: AppOf, actor: ActorOf, round_id: Id) -> Any:
    """One round."""
    return rounds.get_round(app, actor, round_id)


@router.post("/{round_id}/dismiss", response_model=RoundShape)
def dismiss(app: AppOf, actor: ActorOf, round_id: Id) -> Any:
    """Turns a proposed round down; to take it up, start a training that names it."""
    return rounds.dismiss_round(app, actor, round_id)
