"""A domain between two others, so that a change of acquisition can be dialled from none to all."""

from __future__ import annotations

from dataclasses import Field, fields, is_dataclass, replace
from typing import Any, TypeVar

from seamwise.errors import UsageError

T = TypeVar("T")


def between(a: T, b: T, t: float) -> T:
    """The domain a share `t` of the way from `a` to `b`: `a` itself at 0, `b` itself at 1.

    a, b: instances of one frozen dataclass. Numbers move linearly, whole numbers are rounded, fields whose metadata say
    {"drift": "log"} move by equal ratios, tuples of equal length move item by item. Everything else (names, switches,
    fields with {"drift": "switch"}) is `a`'s below one half and `b`'s from there on.
    Raises UsageError when t is outside 0..1 or the two are of different kinds.
    """
    if not 0 <= t <= 1:
        raise UsageError(f"a drift of {t} does not exist; choose from 0 (the first domain) to 1 (the second)")
    if type(a) is not type(b) or not is_dataclass(a) or isinstance(a, type):
        raise UsageError(
            f"cannot drift from a {type(a).__name__} to a {type(b).__name__}; both must be one kind of domain"
        )
    if t in (0, 1):
        return b if t else a
    values = {f.name: _mixed(getattr(a, f.name), getattr(b, f.name), t, f) for f in fields(a) if f.init}
    return replace(a, **values)


def _mixed(a: Any, b: Any, t: float, item: Field[Any]) -> Any:
    """One field's value between a and b."""
    switched = b if t >= 0.5 else a
    drift = item.metadata.get("drift")
    if a == b or drift == "switch":
        return switched
    if isinstance(a, tuple) and isinstance(b, tuple) and len(a) == len(b):
        return tuple(_mixed(x, y, t, item) for x, y in zip(a, b, strict=True))
    if any(isinstance(v, bool) or not isinstance(v, (int, float)) for v in (a, b)):
        return switched
    value = a ** (1 - t) * b**t if drift == "log" and a > 0 and b > 0 else (1 - t) * a + t * b
    return round(value) if isinstance(a, int) and isinstance(b, int) else value
