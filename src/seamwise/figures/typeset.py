"""How wide text will be and how numbers are written, without asking any font."""

from __future__ import annotations

import math
import unicodedata

_NARROW = frozenset("ijltfr.,:;'|!()[]{}I \u00b7")
_WIDE = frozenset("mwMW@%\u2014\u2026")
_SUPERSCRIPT = str.maketrans("-0123456789", "\u207b\u2070\u00b9\u00b2\u00b3\u2074\u2075\u2076\u2077\u2078\u2079")
MISSING = "\u2013"


def text_width(text: str, size: float) -> float:
    """Estimated width in pixels of one line at a font size; generous, so that what is laid out by it does not touch."""
    em = 0.0
    for character in text:
        if unicodedata.east_asian_width(character) in "WF":
            em += 1.0
        elif character in _NARROW:
            em += 0.36
        elif character in _WIDE:
            em += 0.95
        else:
            em += 0.7 if character.isupper() else 0.59
    return em * size


def shorten(text: str, width: float, size: float) -> str:
    """The text, or its beginning with an ellipsis where it is wider than `width` pixels."""
    text = " ".join(text.split())
    if text_width(text, size) <= width:
        return text
    room = width - text_width("\u2026", size)
    used = 0.0
    for place, character in enumerate(text):
        used += text_width(character, size)
        if used > room:
            return text[:place].rstrip() + "\u2026"
    return text


def power(exponent: int) -> str:
    """Ten to an exponent as a reader expects it on an axis: 0.01, 1, 10, 10\u2075."""
    if -3 < exponent < 4:
        return f"{10.0**exponent:g}"
    return "10" + str(exponent).translate(_SUPERSCRIPT)


def number(value: float | None, form: str = ".3f") -> str:
    """A value by a format specification, with a true minus sign; a dash for None and NaN, \u221e for infinities."""
    if value is None or math.isnan(value):
        return MISSING
    if math.isinf(value):
        return "\u221e" if value > 0 else "\u2212\u221e"
    written = format(value, form)
    if written.startswith("-") and not any(digit in written for digit in "123456789"):
        written = written[1:]
    return written.replace("-", "\u2212")


def tick_label(value: float, step: float) -> str:
    """A tick's value with as many decimals as its step needs; very large and small ones in powers of ten."""
    if value == 0:
        return "0"
    exponent = math.floor(math.log10(abs(value)))
    if exponent >= 6 or step < 1e-4:
        mantissa = f"{value / 10.0**exponent:.3g}" if exponent > -300 else f"{value:.3g}"
        head = "" if mantissa == "1" else f"{mantissa}\u00d7"
        return (head + "10" + str(exponent).translate(_SUPERSCRIPT)).replace("-", "\u2212")
    decimals = max(0, -math.floor(math.log10(step)))
    if not math.isclose(step * 10**decimals, round(step * 10**decimals), rel_tol=1e-6):
        decimals += 1
    return number(value, f".{decimals}f")
