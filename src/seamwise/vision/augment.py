"""Random variations of training images: turned, zoomed and mirrored with their masks, exposed and blurred without."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, fields

import torch
from torch import Tensor
from torch.nn import functional as F

from seamwise.continual.batch import Batch
from seamwise.continual.draw import Draw
from seamwise.errors import UsageError

NUMBERS = 13  # uniform numbers of each row, drawn whatever is switched on, so that options do not disturb each other
BLUR_TAPS = 3  # pixels on each side: three standard deviations of the largest blur


@dataclass(frozen=True)
class Augmentation:
    """Varies each row of a batch at random; what is 0 or False is left out, and with all left out nothing changes.

    Geometry, on images and masks alike. flip: both mirrorings, each by halves. turn: multiples of 90 degrees (of 180
    where tiles are not square). rotate_deg: up to so many degrees either way. zoom: a factor of 1 / (1 + zoom) to
    1 + zoom. shift: up to this share of the side. What comes in at the border is a mirror image; masks take the
    nearest pixel, so they hold no new values.

    Exposure, on images alone, in the order of the process. blur: Gaussian of up to so many pixels (at most 1). noise:
    normal, of a standard deviation of up to this, equal in all channels. gamma: a power of 1 / (1 + gamma) to
    1 + gamma, inside 0..1. contrast: a factor of 1 / (1 + contrast) to 1 + contrast about the image's mean.
    brightness: up to this added or taken. invert: probability that light and dark change places. Images span about
    0..1 and are never clipped.

    All of a row's numbers come from (draw, task and index of the sample), so they do not depend on its neighbours.
    Rows in `extra` stay as they are: dense logits in them no longer lie on the turned image.
    """

    flip: bool = True
    turn: bool = True
    rotate_deg: float = 10.0
    zoom: float = 0.15
    shift: float = 0.0
    blur: float = 0.7
    noise: float = 0.03
    gamma: float = 0.2
    contrast: float = 0.2
    brightness: float = 0.1
    invert: float = 0.0

    def __post_init__(self) -> None:
        for field in fields(self):
            if not 0 <= getattr(self, field.name) < math.inf:
                raise UsageError(f"{field.name} is {getattr(self, field.name)}: give a number of 0 or above")
        if self.invert > 1 or self.blur > 1:
            raise UsageError(f"invert is {self.invert} and blur {self.blur}: neither may exceed 1")

    def __call__(self, batch: Batch, draw: Draw) -> Batch:
        """Rows x (N, C, H, W) with masks y (N, H, W), which move along, or with class ids y (N,), which stay."""
        if len(batch) == 0:
            return batch
        generators = row_generators(batch, draw.of("augment"))
        numbers = torch.stack([torch.rand(NUMBERS, dtype=torch.float64, generator=row) for row in generators]).T
        x, y = batch.x, batch.y
        if self.flip or self.turn:
            x, y = self._mirrored(x, y, numbers[0:3])
        if self.rotate_deg or self.zoom or self.shift:
            x, y = self._moved(x, y, numbers[3:7])
        if self.blur:
            x = blurred(x, self.blur * numbers[7])
        if self.noise:
            x = x + self._noise(x, generators, numbers[8])
        return batch.with_inputs(self._exposed(x, numbers[9:]), y)

    def _mirrored(self, x: Tensor, y: Tensor, numbers: Tensor) -> tuple[Tensor, Tensor]:
        """Whole quarter turns and mirrorings: pixels change places, not values."""
        square = x.shape[-1] == x.shape[-2]
        images, masks = [], []
        for image, mask, (turn, upside, sideways) in zip(x, y, numbers.T.tolist(), strict=True):
            quarters = (int(turn * 4) if square else 2 * int(turn * 2)) if self.turn else 0
            axes = [axis for axis, number in ((-2, upside), (-1, sideways)) if self.flip and number < 0.5]
            images.append(torch.rot90(image, quarters, (-2, -1)).flip(axes))
            masks.append(torch.rot90(mask, quarters, (-2, -1)).flip(axes) if mask.ndim else mask)
        return torch.stack(images), torch.stack(masks)

    def _moved(self, x: Tensor, y: Tensor, numbers: Tensor) -> tuple[Tensor, Tensor]:
        """Rotation, zoom and shift as one affine map; (N, 2, 3) in units of half a side, as `affine_grid` wants it."""
        height, width = x.shape[-2:]
        angle = _symmetric(numbers[0]) * math.radians(self.rotate_deg)
        factor = (1 + self.zoom) ** -_symmetric(numbers[1])  # of the places to look up: the inverse of the zoom
        cos, sin = factor * angle.cos(), factor * angle.sin()
        right, down = 2 * self.shift * _symmetric(numbers[2]), 2 * self.shift * _symmetric(numbers[3])
        rows = [cos, -sin * height / width, right, sin * width / height, cos, down]
        theta = torch.stack(rows, dim=1).reshape(-1, 2, 3).to(x)
        grid = F.affine_grid(theta, [len(x), 1, height, width], align_corners=False)
        x = F.grid_sample(x, grid, mode="bilinear", padding_mode="reflection", align_corners=False)
        if y.ndim == 3:
            ids = y[:, None].to(grid.dtype)
            ids = F.grid_sample(ids, grid, mode="nearest", padding_mode="reflection", align_corners=False)
            y = ids[:, 0].to(y.dtype)
        return x, y

    def _noise(self, x: Tensor, generators: list[torch.Generator], number: Tensor) -> Tensor:
        # The film has one grain, however many channels repeat it.
        height, width = x.shape[-2:]
        grain = torch.stack([torch.randn(1, height, width, generator=row) for row in generators]).to(x)
        return grain.mul_(_per_row(self.noise * number, x))

    def _exposed(self, x: Tensor, numbers: Tensor) -> Tensor:
        if self.gamma:
            inside = x.clamp(0, 1)  # a power has no meaning below 0: what lies outside is carried over
            power = _per_row((1 + self.gamma) ** _symmetric(numbers[0]), x)
            x = x - inside + inside.pow(power)
        if self.contrast:
            mean = x.mean(dim=(1, 2, 3), keepdim=True)
            x = mean + (x - mean) * _per_row((1 + self.contrast) ** _symmetric(numbers[1]), x)
        if self.brightness:
            x = x + _per_row(self.brightness * _symmetric(numbers[2]), x)
        if self.invert:
            x = torch.where(_per_row(numbers[3], x) < self.invert, 1 - x, x)
        return x


def row_generators(batch: Batch, draw: Draw) -> list[torch.Generator]:
    """One generator a row, made from its task and index; a sample that comes twice in a batch varies twice."""
    seen: Counter[tuple[int, int]] = Counter()
    generators = []
    for sample in zip(batch.task.tolist(), batch.index.tolist(), strict=True):
        generators.append(draw.of(*sample, seen[sample]).generator())
        seen[sample] += 1
    return generators


def blurred(x: Tensor, sigma: Tensor) -> Tensor:
    """Images (N, C, H, W), each blurred by its own Gaussian of `sigma` (N,) pixels; beyond the border they repeat.

    The kernel is the Gaussian sampled at whole pixels, scaled to sum 1.
    """
    steps = torch.arange(1, BLUR_TAPS + 1)
    sides = torch.exp(-0.5 * (steps / sigma.clamp(min=1e-3)[:, None]) ** 2)  # (N, taps), centre 1
    sides = sides / (1 + 2 * sides.sum(dim=1, keepdim=True))
    for dim in (-2, -1):
        length = x.shape[dim]
        pad = (0, 0, BLUR_TAPS, BLUR_TAPS) if dim == -2 else (BLUR_TAPS, BLUR_TAPS, 0, 0)
        padded = F.pad(x, pad, mode="replicate")
        total = x * _per_row(1 - 2 * sides.sum(dim=1), x)
        for step in range(1, BLUR_TAPS + 1):
            pair = padded.narrow(dim, BLUR_TAPS - step, length) + padded.narrow(dim, BLUR_TAPS + step, length)
            total.addcmul_(pair, _per_row(sides[:, step - 1], x))
        x = total
    return x


def _symmetric(number: Tensor) -> Tensor:
    """0..1 to -1..1."""
    return 2 * number - 1


def _per_row(values: Tensor, like: Tensor) -> Tensor:
    """(N,) as (N, 1, 1, 1), of the images' type and device."""
    return values.to(like)[:, None, None, None]
