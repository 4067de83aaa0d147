"""The strategies that a training can use, with the JSON schemas of their parameters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter

from seamwise.app.actor import Actor, require
from seamwise.app.app import App
from seamwise.continual.catalogue import METHODS, build_strategy, parameters
from seamwise.errors import NotFoundError
from seamwise.storage.tables import Role


@dataclass(frozen=True)
class StrategyInfo:
    """A strategy. schema: of the object of its parameters, with their defaults."""

    name: str
    title: str
    schema: dict[str, Any]


def list_strategies(app: App, actor: Actor) -> list[StrategyInfo]:
    """All strategies that learn a stream in order; several are joined by "+", such as si+replay."""
    require(actor, Role.VIEWER)
    return [_info(name) for name, method in METHODS.items() if method.protocol == "stream"]


def get_strategy(app: App, actor: Actor, name: str) -> StrategyInfo:
    """One strategy, or several joined by "+"; NotFoundError names the nearest for an unknown one."""
    require(actor, Role.VIEWER)
    try:
        build_strategy(name)
    except ValueError as error:
        raise NotFoundError(f"{error}"[:300]) from error
    return _info(name)


def _info(name: str) -> StrategyInfo:
    properties = {key: _schema(found.type, found.default) for key, found in parameters(name).items()}
    title = "; ".join(METHODS[part].title for part in name.split("+"))
    return StrategyInfo(name, title, {"type": "object", "properties": properties, "additionalProperties": False})


def _schema(kind: Any, default: Any) -> dict[str, Any]:
    return TypeAdapter(kind).json_schema() | {"default": default}
