"""From values to pixels: linear and logarithmic scales with round ticks."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from seamwise.figures.typeset import power, tick_label

# Beyond this the difference of two values could overflow.
_LARGEST = 1e300


def finite(values: Iterable[float | None]) -> list[float]:
    """The values that can be drawn: without None, NaN and infinities, the absurdly large brought into range."""
    return [min(max(v, -_LARGEST), _LARGEST) for v in values if v is not None and math.isfinite(v)]


def round_step(span: float, count: int, whole: bool = False) -> float:
    """The step of 1, 2, 2.5 or 5 times a power of ten that cuts a span into at most about `count` parts."""
    raw = span / max(count, 1)
    unit = 10.0 ** math.floor(math.log10(raw))
    choices = (1, 2, 5, 10) if whole else (1, 2, 2.5, 5, 10)
    step = next((c * unit for c in choices if c * unit >= raw * (1 - 1e-9)), 10 * unit)
    return max(1.0, step) if whole else step


@dataclass(frozen=True)
class Scale:
    """A span of values laid onto a span of pixels.

    low, high: values at the pixels start and end. step: distance of linear ticks. log: logarithmic to base 10;
    zero: such an axis has a place for the value 0, half a decade left of `low`'s own.
    """

    low: float
    high: float
    start: float
    end: float
    step: float
    log: bool = False
    zero: bool = False

    def __call__(self, value: float) -> float:
        """The pixel of a value, held within the axis."""
        if self.log:
            low, high = math.log10(self.low), math.log10(self.high)
            origin = low - max(0.5, 0.08 * (high - low)) if self.zero else low
            at = origin if value <= 0 else math.log10(value)
        else:
            origin, high, at = self.low, self.high, value
        share = (min(max(at, origin), high) / 2 - origin / 2) / (high / 2 - origin / 2)
        return self.start + share * (self.end - self.start)

    def shows(self, value: float | None) -> bool:
        """Whether a value has a place on this axis at all."""
        if value is None or not math.isfinite(value):
            return False
        return not self.log or value > 0 or (self.zero and value == 0)

    def holds(self, value: float) -> bool:
        """Whether a value lies on the axis; one that rounding put a hair beyond its end does."""
        room = 1e-6 * (self.high / 2 - self.low / 2)
        return self.low - room <= value <= self.high + room

    def ticks(self) -> list[tuple[float, str]]:
        """Values and their labels, in order."""
        if not self.log:
            first, last = math.ceil(self.low / self.step - 1e-6), math.floor(self.high / self.step + 1e-6)
            values = [place * self.step for place in range(first, min(last, first + 20) + 1)]
            return [(value, tick_label(value, self.step)) for value in values]
        first, last = math.ceil(math.log10(self.low) - 1e-9), math.floor(math.log10(self.high) + 1e-9)
        every = max(1, math.ceil((last - first) / 7))
        marks = [(10.0**e, power(e)) for e in range(first, last + 1, every)]
        return [(0.0, "0"), *marks] if self.zero else marks


def linear(
    values: Iterable[float | None],
    start: float,
    end: float,
    *,
    low: float | None = None,
    high: float | None = None,
    count: int = 5,
    whole: bool = False,
) -> Scale:
    """A linear scale around the values, its ends on ticks unless `low` or `high` fix them.

    count: at most about so many steps. whole: ticks at integers alone.
    """
    drawn = finite(values) or [0.0, 1.0]
    bottom = min(drawn) if low is None else low
    top = max(drawn) if high is None else high
    if bottom > top:
        # The data lie wholly beyond the end that was fixed.
        bottom, top = (bottom, bottom + 1) if high is None else (top - 1, top)
    # A single value, or values too close to tell apart, still need a span.
    if top - bottom <= max(1e-9 * abs(top), 1e-9 * abs(bottom), 1e-290):
        if bottom == 0 and not whole:
            top = 1.0
        else:
            room = 0.5 if whole and abs(bottom) < 1e6 else 0.1 * max(abs(bottom), 1e-280)
            bottom, top = bottom - room, top + room
    if whole:
        return Scale(bottom, top, start, end, round_step(top - bottom, count, whole=True))
    step = round_step(top - bottom, count)
    bottom = bottom if low is not None else math.floor(bottom / step + 1e-6) * step
    top = top if high is not None else math.ceil(top / step - 1e-6) * step
    return Scale(bottom, top, start, end, step)


def logarithmic(values: Iterable[float | None], start: float, end: float) -> Scale:
    """A log10 scale over whole decades around the positive values, with a place for 0 if 0 is among them."""
    drawn = [v for v in finite(values) if v >= 0]
    positive = [max(v, 1e-300) for v in drawn if v > 0] or [1.0]
    low, high = math.floor(math.log10(min(positive)) + 1e-9), math.ceil(math.log10(max(positive)) - 1e-9)
    if low == high:
        low, high = low - 1, high + 1
    return Scale(10.0**low, 10.0**high, start, end, 1.0, log=True, zero=0.0 in drawn)
