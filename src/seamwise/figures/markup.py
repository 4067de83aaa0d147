"""Markup that cannot be broken by what is put into it: plain text is escaped, only `Markup` passes as it is.

The same few functions write SVG and HTML; both come out as well-formed XML.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable

# Characters that XML 1.0 forbids, lone surrogates among them.
_FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;"}


class Markup(str):
    """A piece of SVG or HTML that is already escaped."""

    __slots__ = ()


def escape(text: object) -> Markup:
    """Any value as text that is safe between tags and inside attributes; `Markup` is returned untouched."""
    if isinstance(text, Markup):
        return text
    clean = _FORBIDDEN.sub("\ufffd", str(text))
    return Markup("".join(_ENTITIES.get(character, character) for character in clean))


def join(parts: Iterable[object]) -> Markup:
    """Pieces one after another, each escaped unless it is `Markup`."""
    return Markup("".join(escape(part) for part in parts))


def coordinate(value: float) -> str:
    """A number as short as an attribute needs it: two decimals, no trailing zeros."""
    if not math.isfinite(value):
        raise ValueError(f"a coordinate must be finite, not {value}")
    short = f"{value:.2f}".rstrip("0").rstrip(".")
    return "0" if short == "-0" else short


def tag(name: str, /, *children: object, **attributes: object) -> Markup:
    """One element: `tag("text", "a & b", x=3, font_size=12)`.

    Underscores in attribute names become hyphens (`class_` is `class`), None leaves an attribute out, floats are
    shortened. Without children the element closes itself; give "" where HTML wants an empty pair of tags.
    """
    written = []
    for key, value in attributes.items():
        if value is None:
            continue
        shown = coordinate(value) if isinstance(value, float) else value
        written.append(f' {key.rstrip("_").replace("_", "-")}="{escape(shown)}"')
    opening = f"<{name}{''.join(written)}"
    if not children:
        return Markup(opening + "/>")
    return Markup(f"{opening}>{join(children)}</{name}>")
