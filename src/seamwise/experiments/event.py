"""What a run tells while it goes on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True)
class Event:
    """How far a run is. kind "step", "evaluated" (one row of R is known) or "done" (row holds the result).

    fraction: of the whole run, 0 to 1.
    """

    kind: Literal["step", "evaluated", "done"]
    experience: str
    fraction: float
    loss: float | None = None
    row: dict[str, Any] | None = None
