"""What a simulator returns: a picture of a weld with its exact masks."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

# The order is the class id in every mask; 0 is background.
CLASSES = ("background", "crack", "lack of fusion", "lack of penetration", "porosity", "slag inclusion")


@dataclass(frozen=True)
class Picture:
    """One simulated picture.

    pixels: (H, W) uint8 or uint16. mask: (H, W) uint8, the geometric mask: every pixel in a defect's shadow or echo,
    however faint. visible: (H, W) uint8, the part of it whose contrast stands above the noise; what a person could
    have drawn, and what training should learn from. pitch_mm: size of a pixel. weld: name of the weld; pictures of
    one weld share a split. facts: what was drawn (defects with code, length, contrast, noise), plain JSON values.
    """

    pixels: NDArray[np.uint8] | NDArray[np.uint16]
    mask: NDArray[np.uint8]
    visible: NDArray[np.uint8]
    pitch_mm: float
    weld: str
    facts: dict[str, object] = field(default_factory=dict)
