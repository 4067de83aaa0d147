"""Colours that colour-blind readers can tell apart, on light and on dark ground.

Series and classes take the colours of Okabe and Ito (2008, "Color Universal Design"). Magnitudes take a ramp of our
own: lightness falls evenly in OKLab (Ottosson 2020), so that equal steps in value look like equal steps in colour.
"""

from __future__ import annotations

import math
from functools import lru_cache

Rgb = tuple[int, int, int]

# Okabe and Ito's without black, which is lost on dark ground, and yellow, which is lost on white; grey joins them.
_SERIES: tuple[Rgb, ...] = (
    (0, 114, 178),  # blue
    (213, 94, 0),  # vermilion
    (0, 158, 115),  # bluish green
    (204, 121, 167),  # reddish purple
    (230, 159, 0),  # orange
    (86, 180, 233),  # sky blue
    (128, 128, 128),  # grey
)
# On a grey picture no class may be grey; yellow shows well there.
_CLASSES: tuple[Rgb, ...] = (
    (213, 94, 0),  # vermilion
    (86, 180, 233),  # sky blue
    (240, 228, 66),  # yellow
    (0, 158, 115),  # bluish green
    (204, 121, 167),  # reddish purple
    (230, 159, 0),  # orange
    (0, 114, 178),  # blue
)
DASHES = (None, "7 3", "2 3", "9 3 2 3")


def css(colour: Rgb) -> str:
    """A colour as `#rrggbb`."""
    return "#{:02x}{:02x}{:02x}".format(*colour)


def series_colour(place: int) -> str:
    """The colour of the series at a place (from 0); after seven they come again, with another marker and dash."""
    return css(_SERIES[place % len(_SERIES)])


def series_dash(place: int) -> str | None:
    """The dash pattern that tells a series from the one that shares its colour."""
    return DASHES[place // len(_SERIES) % len(DASHES)]


def class_colour(class_id: int) -> Rgb:
    """The colour of a class id in overlays; class 0 is background and black."""
    return (0, 0, 0) if class_id == 0 else _CLASSES[(class_id - 1) % len(_CLASSES)]


def _srgb(linear: float) -> int:
    linear = min(max(linear, 0.0), 1.0)
    encoded = 12.92 * linear if linear <= 0.0031308 else 1.055 * linear ** (1 / 2.4) - 0.055
    return round(255 * encoded)


def oklch(lightness: float, chroma: float, hue_degrees: float) -> Rgb:
    """A colour from OKLab's lightness 0..1, chroma and hue, clipped into sRGB. Matrices: Ottosson 2020."""
    a = chroma * math.cos(math.radians(hue_degrees))
    b = chroma * math.sin(math.radians(hue_degrees))
    long = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3
    medium = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3
    short = (lightness - 0.0894841775 * a - 1.2914855480 * b) ** 3
    return (
        _srgb(4.0767416621 * long - 3.3077115913 * medium + 0.2309699292 * short),
        _srgb(-1.2684380046 * long + 2.6097574011 * medium - 0.3413193965 * short),
        _srgb(-0.0041960863 * long - 0.7034186147 * medium + 1.7076147010 * short),
    )


@lru_cache(maxsize=1024)
def ramp(share: float) -> Rgb:
    """The sequential ramp at 0..1: pale straw, green, teal, deep blue; values outside take the nearest end."""
    share = min(max(share, 0.0), 1.0)
    return oklch(
        0.96 - 0.62 * share, 0.045 + 0.075 * math.sin(math.pi * min(share * 1.15, 1.0) * 0.75), 105 + 165 * share
    )


def luminance(colour: Rgb) -> float:
    """Relative luminance 0..1 as WCAG 2 defines it."""
    parts = [value / 255 for value in colour]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def ink_on(colour: Rgb) -> str:
    """Black or white, whichever contrasts more: at least 4.5 to 1 on any colour."""
    ground = luminance(colour)
    return "#000000" if (ground + 0.05) / 0.05 >= 1.05 / (ground + 0.05) else "#ffffff"
