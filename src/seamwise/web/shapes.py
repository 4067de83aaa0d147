"""The base of what the API answers with."""

from __future__ import annotations

from typing import Generic, TypeVar

from pydantic import BaseModel, ConfigDict

Item = TypeVar("Item")


class Shape(BaseModel):
    """An answer's JSON, read from a record's attributes."""

    model_config = ConfigDict(from_attributes=True)


class Listed(Shape, Generic[Item]):
    """A page of a list. next: the `cursor` of the page that follows; null at the end."""

    items: list[Item]
    next: str | None
