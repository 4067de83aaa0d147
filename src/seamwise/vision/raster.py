"""What an image file stores, before it is taken for a picture or for a mask."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seamwise.errors import BadInputError

Pixels = NDArray[np.uint8] | NDArray[np.uint16]

# Densities (dots per inch) that programs write when they know nothing.
_MEANINGLESS_DPI = (1.0, 72.0, 96.0)
_PLAUSIBLE_MM = (1e-4, 100.0)


@dataclass(frozen=True)
class Raster:
    """The numbers of an image file as they are stored.

    samples: (H, W, C) uint8 or uint16; colours first, then alpha. colours: how many of the C are not alpha (1 or 3).
    maximum: the largest number the file's bit depth can hold (1 for one bit, 65535 for 16). palette: (N, 3) uint8 when
    the samples are numbers of colours. inverted: 0 is white. pitch_mm: size of a pixel, when the file says so.
    """

    samples: Pixels
    colours: int = 1
    maximum: int = 255
    palette: NDArray[np.uint8] | None = None
    inverted: bool = False
    pitch_mm: float | None = None

    def picture(self) -> Pixels:
        """What is seen: (H, W, 1) grey or (H, W, 3) RGB, 8 or 16 bits, without alpha, black is 0."""
        shown = self._shown()
        if self.palette is not None:
            if int(shown.max()) >= len(self.palette):
                raise BadInputError(f"a pixel uses colour {shown.max()} of a palette of {len(self.palette)}")
            return self.palette[shown[:, :, 0]]
        if self.maximum < 255:
            return (shown * np.uint8(255 // self.maximum)).astype(np.uint8)
        return shown

    def labels(self) -> Pixels:
        """What a mask means: (H, W) class ids as stored, not their colours and not stretched to 0..255."""
        shown = self._shown()
        first = shown[:, :, 0]
        # Programs without a grey mode store a grey picture as three equal channels.
        if any(not np.array_equal(first, shown[:, :, channel]) for channel in range(1, shown.shape[2])):
            raise BadInputError("a mask has one channel of class ids, this one is coloured; save the ids as 8-bit grey")
        return first

    def _shown(self) -> Pixels:
        shown = np.ascontiguousarray(self.samples[:, :, : self.colours])
        return stored(self.maximum - shown) if self.inverted else stored(shown)


def stored(array: NDArray[Any]) -> Pixels:
    """What a decoder gave, (H, W) or (H, W, C), as (H, W, C) uint8 or uint16 in the machine's byte order."""
    grid = array if array.ndim == 3 else array[:, :, None]
    return grid.astype(np.uint16, order="C") if grid.itemsize == 2 else grid.astype(np.uint8, order="C")


def check_size(width: int, height: int, max_pixels: int) -> None:
    """Refuse a picture without pixels, or with more than may be decoded, by its header alone."""
    if width < 1 or height < 1:
        raise BadInputError(f"its header says {width} x {height} pixels; export it again")
    if width * height > max_pixels:
        raise BadInputError(
            f"{width} x {height} is {width * height / 1e6:.0f} million pixels, more than the {max_pixels / 1e6:g} "
            "million that are read at once; cut it into parts"
        )


def pitch_from_density(x_per_mm: float, y_per_mm: float, tolerance: float) -> float | None:
    """The size of a pixel in mm from a file's density, or None when it is not square, a default, or absurd.

    tolerance: relative step of the stored density; the shortest decimal within it is taken, because PNG's whole pixels
    per metre would turn 0.0403 mm into 0.04029983.
    """
    if not x_per_mm > 0 or not y_per_mm > 0 or abs(x_per_mm - y_per_mm) > 0.005 * x_per_mm:
        return None
    pitch = 1 / x_per_mm
    if any(abs(25.4 * x_per_mm - dpi) < 0.02 for dpi in _MEANINGLESS_DPI):
        return None
    if not _PLAUSIBLE_MM[0] <= pitch <= _PLAUSIBLE_MM[1]:
        return None
    shorter = (float(f"{pitch:.{digits}g}") for digits in range(1, 17))
    return next((short for short in shorter if abs(short - pitch) <= tolerance * pitch), pitch)
