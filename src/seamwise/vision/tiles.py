"""Training tiles cut from images of any size, so that rare and tiny defects are seen often enough."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seamwise.continual.batch import Batch
from seamwise.continual.draw import Draw
from seamwise.errors import UsageError
from seamwise.vision.components import Components, find_components
from seamwise.vision.domain import Sample
from seamwise.vision.prepare import PreparedImage, image_size, load_mask, prepare_image, scaled_shape

EDGE = 1 / 8  # a tile drawn for a defect keeps the chosen pixel this share of its side away from its border


@dataclass(frozen=True)
class Loaded:
    """What is kept of a decoded sample: integer pixels, class ids and the single defects."""

    image: PreparedImage
    mask: NDArray[np.uint8]
    defects: Components

    @property
    def nbytes(self) -> int:
        return self.image.nbytes + self.mask.nbytes + self.defects.nbytes


class TileDataset:
    """Tiles of images and masks as numbered samples.

    Each image has as many numbers as tiles cover it, max(1, ceil(area / tile^2)), at most `most_tiles`, so that a long
    film counts for more than a small picture. Where a tile lies is drawn anew for each draw, from (draw, number)
    alone: the same number under the same key is the same tile in whatever batch it comes. With probability
    `defect_share` it is drawn for a defect: a class among those in the image, one of its connected components, one
    of its pixels, each uniformly, so that a pore of three pixels comes as often as a long crack; the pixel lands
    anywhere in the tile but near its border. Otherwise, and in images without defects, every place is as likely.
    Images smaller than the tile are mirrored, and their masks with them: a mirrored defect still looks like one.

    classes: number of class ids after `remap`, which gives a new id for each id of the files (all defects -> 1, say).
    tile: side in pixels, after resizing by `scale`. channels, scale, window: see `prepare_image`. ignore: the value
    of pixels without a label, kept as it is. cache_bytes: decoded images kept in memory; the least recently used go.
    Images are opened at first need; only their sizes are read at the start.
    """

    def __init__(
        self,
        samples: Sequence[Sample],
        *,
        classes: int,
        tile: int,
        channels: int = 1,
        task: int = 0,
        remap: tuple[int, ...] | None = None,
        scale: float = 1.0,
        defect_share: float = 0.5,
        window: bool = True,
        ignore: int | None = None,
        most_tiles: int | None = None,
        cache_bytes: int = 1 << 30,
    ) -> None:
        if not samples:
            raise UsageError("no samples to cut tiles from: the split list is empty")
        if tile < 1 or not 0 <= defect_share <= 1 or not scale > 0 or (most_tiles is not None and most_tiles < 1):
            raise UsageError(
                f"tile {tile}, scale {scale} and most_tiles {most_tiles} must be above 0, "
                f"defect_share {defect_share} within 0..1"
            )
        wrong = [new for new in remap or () if not (0 <= new < classes or new == ignore)]
        if wrong:
            raise UsageError(f"remap names class {wrong[0]}, but there are {classes} classes (0 to {classes - 1})")
        if ignore is not None and 0 <= ignore < classes:
            raise UsageError(
                f"ignore is {ignore}, which is a class id: choose a value of {classes} or above, such as 255"
            )
        self.samples, self.classes, self.tile, self.channels, self.task = tuple(samples), classes, tile, channels, task
        self.remap, self.scale, self.defect_share, self.window = remap, scale, defect_share, window
        self.ignore, self.most_tiles, self.cache_bytes = ignore, most_tiles, cache_bytes
        self._cache: OrderedDict[int, Loaded] = OrderedDict()
        self._cached_bytes = 0

    @cached_property
    def ends(self) -> NDArray[np.int64]:
        """(samples,), image i owns the numbers from `ends[i - 1]` (0 for the first) up to `ends[i]`."""
        return np.cumsum([self._tiles_of(*image_size(sample.image)) for sample in self.samples])

    def __len__(self) -> int:
        return int(self.ends[-1])

    def image_of(self, index: int) -> int:
        """Place in `samples` of the image that this number's tile is cut from."""
        if not 0 <= index < len(self):
            raise IndexError(f"tile {index} of {len(self)}")
        return int(np.searchsorted(self.ends, index, side="right"))

    def batch(self, indices: Tensor, draw: Draw) -> Batch:
        """Tiles x (N, channels, tile, tile) float32 and y (N, tile, tile) int64; each row weighs 1 / N."""
        n, side = len(indices), self.tile
        x = np.empty((n, self.channels, side, side), dtype=np.float32)
        y = np.empty((n, side, side), dtype=np.int64)
        for row, index in enumerate(indices.tolist()):
            loaded = self.load(self.image_of(index))
            rows, columns = self._place(loaded, draw.of("tile", index))
            x[row] = loaded.image.cut(rows, columns)
            y[row] = loaded.mask[rows, columns]
        return Batch.of(torch.from_numpy(x), torch.from_numpy(y), self.task, indices.clone())

    def load(self, place: int) -> Loaded:
        """The decoded sample, from memory when it is still there."""
        if place in self._cache:
            self._cache.move_to_end(place)
            return self._cache[place]
        sample = self.samples[place]
        image = prepare_image(sample.image, self.channels, self.scale, self.window)
        mask = load_mask(sample, self.classes, self.ignore, self.remap, self.scale, image.file_shape)
        loaded = Loaded(image, mask, find_components(mask, self.classes))
        self._cache[place] = loaded
        self._cached_bytes += loaded.nbytes
        while self._cached_bytes > self.cache_bytes and self._cache:
            _, oldest = self._cache.popitem(last=False)
            self._cached_bytes -= oldest.nbytes
        return loaded

    def release(self) -> None:
        """Lets go of the decoded images; they are opened again at need."""
        self._cache.clear()
        self._cached_bytes = 0

    def _tiles_of(self, height: int, width: int) -> int:
        height, width = scaled_shape(height, width, self.scale)
        tiles = max(1, math.ceil(height * width / self.tile**2))
        return tiles if self.most_tiles is None else min(tiles, self.most_tiles)

    def _place(self, loaded: Loaded, draw: Draw) -> tuple[slice, slice] | tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Rows and columns of the tile, as slices, or as mirrored indices (tile, 1) and (tile,) beyond a border."""
        height, width = loaded.mask.shape
        # Always the same number of draws in the same order, whatever becomes of them.
        use, kind, component, pixel, u, v = torch.rand(6, dtype=torch.float64, generator=draw.generator()).tolist()
        if len(loaded.defects) and use < self.defect_share:
            row, column = divmod(_defect_pixel(loaded.defects, kind, component, pixel), width)
            top = _clamped(row - self._within(u), height, self.tile)
            left = _clamped(column - self._within(v), width, self.tile)
        else:
            top, left = _uniform(u, height, self.tile), _uniform(v, width, self.tile)
        if self.tile <= height and self.tile <= width:
            return slice(top, top + self.tile), slice(left, left + self.tile)
        return mirrored(top, self.tile, height)[:, None], mirrored(left, self.tile, width)

    def _within(self, u: float) -> int:
        """Where in the tile the chosen pixel comes to lie, along one side."""
        edge = int(self.tile * EDGE)
        return edge + int(u * (self.tile - 2 * edge))


def _defect_pixel(defects: Components, kind: float, component: float, pixel: float) -> int:
    """Three numbers of 0..1 -> a class, a component of it, and a pixel of that (its place in the flattened mask)."""
    present = np.unique(defects.kinds)
    chosen = present[int(kind * len(present))]
    first, last = np.searchsorted(defects.kinds, [chosen, chosen + 1])
    which = int(first) + int(component * (last - first))
    start, end = defects.starts[which], defects.starts[which + 1]
    return int(defects.pixels[int(start) + int(pixel * (end - start))])


def _clamped(start: int, length: int, tile: int) -> int:
    """A tile's start moved so that it lies inside the image, or the whole image inside the tile."""
    low, high = sorted((0, length - tile))
    return min(max(start, low), high)


def _uniform(u: float, length: int, tile: int) -> int:
    low, high = sorted((0, length - tile))
    return low + int(u * (high - low + 1))


def mirrored(start: int, count: int, length: int) -> NDArray[np.intp]:
    """`count` indices from `start` on, reflected at the borders of 0..length-1 without repeating the border pixel."""
    if length == 1:
        return np.zeros(count, dtype=np.intp)
    period = 2 * (length - 1)
    place = np.arange(start, start + count) % period
    return np.minimum(place, period - place)
