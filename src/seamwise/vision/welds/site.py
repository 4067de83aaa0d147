"""Where a defect can be drawn: a picture's seam, its size, and where along the weld there is room."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from seamwise.vision.welds.radiography import Radiography
from seamwise.vision.welds.seam import Doubles, Floats, Seam
from seamwise.vision.welds.shadow import Stencil


@dataclass(frozen=True)
class Site:
    """A picture to draw defects into; `image` says which of the weld's images in a double wall picture."""

    domain: Radiography
    seam: Seam
    image: int

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the picture."""
        return self.domain.height, self.domain.width

    @property
    def length_mm(self) -> float:
        """Length of the picture along the weld."""
        return self.domain.width * self.domain.pitch_mm

    def centre_mm(self, x: Doubles | float) -> Doubles:
        """Height in the picture of the weld's centre at x."""
        return np.asarray(np.interp(x, self.seam.x_mm, self.seam.centres_mm[self.image]))

    def edge_mm(self, x: Doubles | float, side: float) -> Doubles:
        """Distance from the centre to the cap's edge at x, above (side -1) or below (+1)."""
        return np.asarray(np.interp(x, self.seam.x_mm, self.seam.below_mm if side > 0 else self.seam.above_mm))

    def root_mm(self, x: Doubles | float) -> Doubles:
        """Offset of the root bead's middle from the centre at x."""
        return np.asarray(np.interp(x, self.seam.x_mm, self.seam.root_mm))

    def root_half_mm(self, x: Doubles | float) -> Doubles:
        """Half width of the root bead at x."""
        return np.asarray(np.interp(x, self.seam.x_mm, self.seam.root_half_mm))

    def anywhere(self, rng: np.random.Generator) -> float:
        """A position along the weld within the picture; inside the pipe where its flanks show."""
        if self.domain.technique == "dwdi":
            reach = min(self.length_mm / 2, 0.4 * self.domain.od_mm)
            return float(self.length_mm / 2 + rng.uniform(-reach, reach))
        return float(rng.uniform(0.04, 0.96) * self.length_mm)

    def board(self, x0: float, x1: float, reach_mm: float | None = None) -> Stencil:
        """A drawing board over a stretch of the weld, `reach_mm` either side of its centre (all the cap by default)."""
        x = np.linspace(x0, x1, 24)
        centre = self.centre_mm(x)
        if reach_mm is None:
            reach_mm = 1 + max(float(self.edge_mm(x, side).max()) for side in (-1, 1))
        box = (min(x0, x1), float(centre.min()) - reach_mm, max(x0, x1), float(centre.max()) + reach_mm)
        return Stencil(box, self.shape, self.domain.pitch_mm, self.domain.unsharpness_mm)

    def on_board(self, board: Stencil) -> tuple[Doubles, Floats]:
        """Column positions (w,) and distances from the weld's centre (h, w) on a board."""
        x = self.seam.x_mm[board.left : board.left + board.width]
        y = self.seam.y_mm[board.top : board.top + board.height]
        across = np.subtract.outer(y, self.seam.centres_mm[self.image][board.left : board.left + board.width])
        return x, across.astype(np.float32)
