"""Feature statistics of an image, fixed for good: what drift and domain guesses compare.

No network is learned here: a production model's features would jump at each promotion, and these need no download.
Grey levels tell exposure and machine, colour the camera, and the energies of a Haar wavelet transform (Mallat 1989),
an octave a level, tell noise, sharpness, texture and its direction, each within tiles so that a long film and a small
cut of it look alike. Everything is on a scale where equal steps look equal: logarithms for energies.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from seamwise.errors import BadInputError

Pixels = NDArray[np.floating]

_TILE = 64
_LEVELS = 5
_GREY_PIXELS = 65_536
# Below the rounding of 8 bits (variance 1.3e-6): a place without any texture is as flat as can be told, not minus
# infinity. Standard deviations of this size or less count as none.
_FLAT = 1e-7

# What images of one domain typically scatter by, measured over the seven domains that the platform was developed on:
# features are given in these units, so that none counts more than another before anything is known of a domain.
_SCATTER = np.array([0.08, 0.1, 0.1, 0.4, 0.03, 0.03, *[0.6] * _LEVELS, *[0.4] * _LEVELS, 0.3, 0.3])
# Further digits are noise, and would make stored states long and machines differ.
_DIGITS = 4

# One name a column: `energy k` is the texture k octaves above the pixel, `direction k` how far it
# leans to horizontal edges.
FEATURES: tuple[str, ...] = (
    *("dark end", "median grey", "bright end", "contrast", "saturation", "warmth"),
    *(f"energy {level}" for level in range(_LEVELS)),
    *(f"direction {level}" for level in range(_LEVELS)),
    *("corner noise", "unevenness"),
)


def extract(image: Pixels) -> NDArray[np.float64]:
    """Feature statistics of one image, `FEATURES` long, in units of what they scatter by within a domain.

    image: (C, H, W) or (H, W) from 0 to 1 of full scale, at the file's own size and *not* stretched (see
    `images.to_float`), C 1 or 3; any size. Raises BadInputError for other shapes and for values that are not numbers.
    """
    planes = np.asarray(image, dtype=np.float32)
    planes = planes[None] if planes.ndim == 2 else planes
    if planes.ndim != 3 or len(planes) not in (1, 3) or planes.size == 0:
        raise BadInputError(f"features need an image of shape (1 or 3, H, W), not {np.shape(image)}")
    if not np.isfinite(planes).all():
        raise BadInputError("features need finite pixels: the image holds values that are not numbers")
    grey = planes.mean(axis=0)
    values = np.array([*_levels(grey), *_colour(planes), *_texture(_tiled(grey))])
    return np.asarray(np.round(values / _SCATTER, _DIGITS))


def _levels(grey: Pixels) -> list[float]:
    # Every n-th pixel both ways tells a percentile as well, and a film of many megapixels costs what a small one does.
    step = max(1, math.isqrt(grey.size // _GREY_PIXELS))
    some = grey[::step, ::step].astype(np.float64)
    dark, median, bright = np.percentile(some, [1, 50, 99]).tolist()
    return [dark, median, bright, math.log(some.var() + _FLAT)]


def _colour(planes: Pixels) -> list[float]:
    if len(planes) == 1:
        return [0.0, 0.0]
    saturation = (planes.max(axis=0) - planes.min(axis=0)).mean(dtype=np.float64)
    return [float(saturation), float((planes[0] - planes[-1]).mean(dtype=np.float64))]


def _tiled(grey: Pixels) -> Pixels:
    """The middle of the image, in whole tiles; smaller images are mirrored until they fill one."""
    height, width = grey.shape
    missing = [(0, max(0, _TILE - side)) for side in (height, width)]
    grey = np.pad(grey, missing, mode="symmetric")
    height, width = (side // _TILE * _TILE for side in grey.shape)
    top, left = (grey.shape[0] - height) // 2, (grey.shape[1] - width) // 2
    return grey[top : top + height, left : left + width]


def _texture(grey: Pixels) -> list[float]:
    """Energies by octave, their directions, corner noise and unevenness, of an image in whole tiles."""
    energies, directions, smooth = [], [], grey
    corner, unevenness = 0.0, 0.0
    for level in range(_LEVELS):
        smooth, rows, columns, corners = _haar(smooth)
        side = _TILE >> (level + 1)
        across, along, both = (_tile_means(part**2, side) + _FLAT for part in (rows, columns, corners))
        energy = np.log(across + along + both)
        energies.append(float(energy.mean()))
        directions.append(float(np.log(across / along).mean()))
        if level == 0:
            corner, unevenness = float((np.log(both) - energy).mean()), float(energy.std())
    return [*energies, *directions, corner, unevenness]


def _haar(image: Pixels) -> tuple[Pixels, ...]:
    """One level of the Haar transform, scaled so that the first part is the image at half its size.

    Returns it and the differences between rows (horizontal edges), between columns, and of both.
    """
    upper, lower = image[0::2], image[1::2]
    total, change = upper + lower, upper - lower
    left, right = total[:, 0::2], total[:, 1::2]
    up, down = change[:, 0::2], change[:, 1::2]
    return (left + right) / 4, (up + down) / 4, (left - right) / 4, (up - down) / 4


def _tile_means(values: Pixels, side: int) -> NDArray[np.float64]:
    rows, columns = values.shape[0] // side, values.shape[1] // side
    return np.asarray(values.reshape(rows, side, columns, side).mean(axis=(1, 3), dtype=np.float64))
