"""/strategies: how a model may learn without forgetting."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path
from pydantic import Field

from seamwise.app import strategies
from seamwise.web.asking import ActorOf, AppOf
from seamwise.web.shapes import Shape

router = APIRouter(prefix="/strategies", tags=["strategies"])


class StrategyShape(Shape):
    """A strategy. schema: JSON schema of its parameters."""

    name: str
    title: str
    parameters: dict[str, Any] = Field(validation_alias="schema")


class StrategiesShape(Shape):
    """All strategies; there are few."""

    items: list[StrategyShape]


@router.get("", response_model=StrategiesShape)
def listing(app: AppOf, actor: ActorOf) -> Any:
    """All strategies; several are joined by "+", such as si+replay."""
    return {"items": strategies.list_strategies(app, actor)}


@router.get("/{name}", response_model=StrategyShape)
def one(app: AppOf, actor: ActorOf, name: Annotated[str, Path(max_length=200)]) -> Any:
    """One strategy, or several joined by "+"."""
    return strategies.get_strategy(app, actor, name)
