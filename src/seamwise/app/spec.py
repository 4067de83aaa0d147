"""The base of what use cases are asked with: values checked before anything is begun."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, StringConstraints

# Names that stand in addresses, files and tables: no path tricks, no look-alikes of upper and lower case at the start.
Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$")]
Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500)]

_DEEPEST = 8  # lists and objects in one another


def _plain(options: dict[str, Any]) -> dict[str, Any]:
    """Raises ValueError for what JSON can carry but no option means: NaN, infinity, endless digits or nesting."""
    level: list[Any] = [options]
    for _ in range(_DEEPEST):
        level = [value for one in level for value in (one.values() if isinstance(one, dict) else one)]
        for value in level:
            if isinstance(value, float) and not math.isfinite(value):
                raise ValueError(f"{value} is no finite number")
            if isinstance(value, int) and abs(value) >= 2**63:
                raise ValueError("a whole number has more than 63 bits")
        level = [value for value in level if isinstance(value, dict | list)]
    if level:
        raise ValueError(f"more than {_DEEPEST} lists and objects in one another")
    return options


# Options that a catalogue knows: which there are, and what each takes, is said where they are used.
Options = Annotated[dict[str, Any], AfterValidator(_plain)]


def _in_utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("it lies outside the years 1 to 9999 in UTC") from None


Moment = Annotated[AwareDatetime, AfterValidator(_in_utc)]


class Spec(BaseModel):
    """A request's content: unknown fields are refused, values never change."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
