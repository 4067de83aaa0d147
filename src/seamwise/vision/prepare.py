"""From a file to what a network sees: channels, size, grey window; training and inference share every pixel of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from torch import Tensor
from torch.nn import functional as F

from seamwise.errors import BadInputError, UsageError
from seamwise.vision import images
from seamwise.vision.domain import Sample
from seamwise.vision.raster import Pixels
from seamwise.vision.tiff import tiff_size

LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)  # Rec. 601, as in Pillow, OpenCV and MATLAB


@dataclass(frozen=True)
class PreparedImage:
    """A decoded image at the network's scale, still as integers, with the map of its values to the network's range.

    values: (C, H, W) uint8 or uint16, where C may be 1 although `channels` is 3: grey is repeated only in `cut`.
    gain, offset: input = value * gain + offset. file_shape: (H, W) before resizing.
    """

    values: Pixels
    gain: np.float32
    offset: np.float32
    channels: int
    file_shape: tuple[int, int]

    @property
    def shape(self) -> tuple[int, int]:
        return self.values.shape[1], self.values.shape[2]

    @property
    def nbytes(self) -> int:
        return self.values.nbytes

    def cut(self, rows: slice | NDArray[np.intp], columns: slice | NDArray[np.intp]) -> NDArray[np.float32]:
        """The network's input at these rows and columns (slices, or (h, 1) and (w,) indices): float32 (channels, h, w).

        Equal, to the last bit, to the same place of the whole image's input.
        """
        part = self.values[:, rows, columns].astype(np.float32) * self.gain + self.offset
        return np.broadcast_to(part, (self.channels, *part.shape[1:]))

    def whole(self) -> Tensor:
        """The network's input of the whole image: float32 (channels, H, W)."""
        return torch.tensor(self.cut(slice(None), slice(None)))


def prepare_image(path: Path, channels: int, scale: float = 1.0, window: bool = True) -> PreparedImage:
    """Read an image and prepare it as `prepare_pixels` does. Raises BadInputError for a file that cannot be read."""
    if not scale > 0:
        raise UsageError(f"scale is {scale}: give a factor above 0")
    return prepare_pixels(images.read_image(path).pixels, channels, scale, window, name=str(path))


def prepare_pixels(
    pixels: Pixels, channels: int, scale: float = 1.0, window: bool = True, *, name: str
) -> PreparedImage:
    """Bring an image's pixels (H, W, C) to so many channels and resize them by `scale`.

    channels: 1 takes the luminance of colour images, 3 repeats grey ones; other numbers must be the image's own.
    scale: below 1 with antialiasing. window: stretch the image's 1st..99th percentile to 0..1, unclipped; otherwise
    full scale is 1. Raises BadInputError for other channels, under the image's name.
    """
    values = _resized(_with_channels(pixels, channels, name), scale)
    full = np.float32(np.iinfo(values.dtype).max)
    gain, offset = _window_map(values) if window else (1 / full, np.float32(0))
    return PreparedImage(values, gain, offset, channels, (pixels.shape[0], pixels.shape[1]))


def load_mask(
    sample: Sample,
    classes: int,
    ignore: int | None = None,
    remap: tuple[int, ...] | None = None,
    scale: float = 1.0,
    shape: tuple[int, int] | None = None,
) -> NDArray[np.uint8]:
    """A sample's class ids at the network's scale: uint8 (H, W).

    classes: number of ids after `remap`, which gives the new id of each id in the file. shape: (H, W) of the image
    file, which the mask must share. Raises BadInputError for a sample without a mask and for masks that do not fit.
    """
    if sample.mask is None:
        raise BadInputError(f"{sample.image} has no mask: draw one, or take the image out of the split list")
    mask = images.read_mask(sample.mask, len(remap) if remap else classes, ignore, shape)
    if remap:
        table = np.arange(256, dtype=np.uint8)
        table[: len(remap)] = remap  # the ignore value stays what it is
        mask = table[mask]
    return resize_mask(mask, scale, ignore)


def resize_mask(mask: NDArray[np.uint8], scale: float, ignore: int | None = None) -> NDArray[np.uint8]:
    """Class ids resized so that no defect is lost, however small.

    Shrinking, a new pixel is a defect when any old pixel under it is one (the most frequent class among them),
    otherwise ignored when any is ignored, otherwise background. A crack one pixel wide so stays one piece; the price
    is that defects grow by up to one new pixel, so sizes are measured on masks of the original size. Growing takes
    the nearest pixel.
    """
    height, width = scaled_shape(mask.shape[0], mask.shape[1], scale)
    if (height, width) == mask.shape:
        return mask
    if scale > 1:
        old = torch.from_numpy(mask)[None, None]
        return F.interpolate(old, size=(height, width), mode="nearest-exact")[0, 0].numpy()
    result = np.zeros((height, width), dtype=np.uint8)
    best = np.zeros((height, width), dtype=np.float32)
    # Ids in ascending order and a strict comparison: ties go to the lowest id. Ignored pixels take what is left.
    for kind in np.flatnonzero(np.bincount(mask.ravel(), minlength=256)).tolist():
        if kind in (0, ignore):
            continue
        cover = _cover(mask == kind, height, width)
        wins = cover > best
        result[wins], best[wins] = kind, cover[wins]
    if ignore is not None:
        result[(best == 0) & (_cover(mask == ignore, height, width) > 0)] = ignore
    return result


def image_size(path: Path) -> tuple[int, int]:
    """(height, width) of an image file, from its first bytes where possible. Raises what `read_image` raises."""
    for size in (partial(_pillow_size, PngImageFile), tiff_size, partial(_pillow_size, JpegImageFile)):
        try:
            return size(path)
        except Exception:  # another format, or one that only read_image knows, or a damaged file, which it explains
            continue
    height, width, _ = images.read_image(path).pixels.shape
    return height, width


def _pillow_size(kind: Callable[[Path], ImageFile], path: Path) -> tuple[int, int]:
    with kind(path) as picture:
        return picture.height, picture.width


def scaled_shape(height: int, width: int, scale: float) -> tuple[int, int]:
    """Size of an image after resizing by `scale`, never below one pixel."""
    return max(1, round(height * scale)), max(1, round(width * scale))


def _cover(where: NDArray[np.bool_], height: int, width: int) -> NDArray[np.float32]:
    # Adaptive pooling takes every old pixel that a new one touches, also where the sizes do not divide.
    cells = F.adaptive_avg_pool2d(torch.from_numpy(where.astype(np.float32))[None], (height, width))
    return cells[0].numpy()


def _with_channels(pixels: Pixels, channels: int, name: str) -> Pixels:
    """(H, W, C) of a file -> (c, H, W) with c = channels, or 1 for grey that is to be repeated."""
    have = pixels.shape[2]
    if channels in (1, 3) and have == 3 and _is_grey(pixels):
        pixels = pixels[:, :, :1]  # grey stored as colour: nothing to compute, the depth stays
    elif channels == 1 and have == 3:
        return _rounded(np.tensordot(LUMA, images.to_float(pixels), axes=1)[None])
    elif have != channels and not (have == 1 and channels == 3):
        raise BadInputError(
            f"{name} has {have} channels but the network takes {channels}: convert the image, or choose {have} channels"
        )
    return pixels.transpose(2, 0, 1).copy()


def _is_grey(pixels: Pixels) -> bool:
    red = pixels[:, :, 0]
    return bool((red == pixels[:, :, 1]).all() and (red == pixels[:, :, 2]).all())


def _resized(values: Pixels, scale: float) -> Pixels:
    size = scaled_shape(values.shape[1], values.shape[2], scale)
    if size == values.shape[1:]:
        return values
    x = torch.from_numpy(images.to_float(values.transpose(1, 2, 0)))[None]
    return _rounded(F.interpolate(x, size=size, mode="bilinear", antialias=scale < 1)[0].numpy())


def _rounded(x: NDArray[np.float32]) -> NDArray[np.uint16]:
    # Averages of 8-bit values carry more than 8 bits: whatever was computed is kept at 16.
    return np.rint(np.clip(x, 0, 1) * 65535).astype(np.uint16)


def _window_map(values: Pixels) -> tuple[np.float32, np.float32]:
    """`images.window` as a gain and an offset, so that a tile can be stretched without the whole image.

    It is affine and alike for all channels, so the darkest and the lightest value fix it.
    """
    flat = values.ravel()
    stretched = images.window(images.to_float(values.transpose(1, 2, 0))).ravel()
    dark, light = int(flat.argmin()), int(flat.argmax())
    span = max(int(flat[light]) - int(flat[dark]), 1)
    gain = (float(stretched[light]) - float(stretched[dark])) / span
    return np.float32(gain), np.float32(float(stretched[dark]) - gain * int(flat[dark]))
