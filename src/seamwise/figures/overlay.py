"""Pictures for reports: a prediction laid over its image, the truth drawn around it, as PNG."""

from __future__ import annotations

import base64
import struct
import zlib

import numpy as np
from numpy.typing import NDArray

from seamwise.figures.palette import class_colour

Pixels = NDArray[np.uint8]


def png(pixels: Pixels) -> bytes:
    """Pixels (H, W) grey or (H, W, 3) RGB, uint8, as a PNG file (ISO/IEC 15948)."""
    if pixels.dtype != np.uint8 or pixels.size == 0 or not (pixels.ndim == 2 or pixels.shape[2:] == (3,)):
        raise ValueError(f"pixels must be uint8 (H, W) or (H, W, 3) and not empty, not {pixels.dtype} {pixels.shape}")
    height, width = pixels.shape[:2]
    depth = 1 if pixels.ndim == 2 else 3
    # Filter 1: every pixel minus its left neighbour, which compresses smooth rows well.
    rows = np.zeros((height, 1 + width * depth), np.uint8)
    rows[:, 0] = 1
    rows[:, 1:] = pixels.reshape(height, -1)
    rows[:, 1 + depth :] -= pixels[:, :-1].reshape(height, -1)
    header = struct.pack(">IIBBBBB", width, height, 8, 0 if depth == 1 else 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows.tobytes(), 6)), (b"IEND", b""))
    packed = (struct.pack(">I", len(d)) + n + d + struct.pack(">I", zlib.crc32(n + d)) for n, d in chunks)
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)


def data_uri(image: bytes) -> str:
    """A PNG file as an address that carries it whole, for pages that load nothing."""
    return "data:image/png;base64," + base64.b64encode(image).decode("ascii")


def shrink(pixels: Pixels, factor: int) -> Pixels:
    """Each block of factor x factor pixels averaged into one; what is left over at the right and bottom likewise."""
    if factor < 1:
        raise ValueError(f"a factor must be 1 or more, not {factor}")
    if factor == 1:
        return pixels
    sums = pixels.astype(np.uint32)
    counts = []
    for axis in (0, 1):
        length = pixels.shape[axis]
        starts = np.arange(0, length, factor)
        sums = np.add.reduceat(sums, starts, axis=axis, dtype=np.uint32)
        counts.append(np.diff(np.append(starts, length)))
    area = np.outer(*counts).reshape(len(counts[0]), len(counts[1]), *([1] * (pixels.ndim - 2)))
    return np.asarray((sums + area // 2) // area, np.uint8)


def display(image: NDArray[np.uint8] | NDArray[np.uint16]) -> Pixels:
    """An image (H, W[, C]) as new 8-bit RGB (H, W, 3); 16-bit values are stretched between percentiles 0.5 and 99.5."""
    if image.ndim == 2:
        image = image[:, :, None]
    if image.ndim != 3 or image.dtype not in (np.uint8, np.uint16):
        raise ValueError(f"an image must be uint8 or uint16 (H, W) or (H, W, C), not {image.dtype} {image.shape}")
    image = image[:, :, :3] if image.shape[2] >= 3 else image[:, :, :1]
    if image.dtype == np.uint16:
        low, high = np.percentile(image, (0.5, 99.5))
        grey = (image.astype(np.float32) - low) / max(float(high - low), 1.0)
        image = np.clip(np.rint(255 * grey), 0, 255).astype(np.uint8)
    result = np.empty((*image.shape[:2], 3), np.uint8)
    result[:] = image
    return result


def overlay(
    image: NDArray[np.uint8] | NDArray[np.uint16],
    mask: NDArray[np.integer],
    truth: NDArray[np.integer] | None = None,
    *,
    ignore: int | None = None,
    strength: float = 0.45,
    max_width: int | None = None,
) -> Pixels:
    """The image with the predicted classes filled translucent and the true ones as a line around them.

    image: (H, W[, C]) uint8 or uint16. mask, truth: (H, W) class ids, 0 background. ignore: an id that is not drawn.
    strength: how much of the class's colour the filling has, 0..1. max_width: wider results are averaged down by a
    whole factor, lines drawn thicker to stay visible. Returns (H, W, 3) uint8.
    """
    for name, ids in (("mask", mask), ("truth", truth)):
        if ids is not None and ids.shape != image.shape[:2]:
            raise ValueError(f"the {name} is {ids.shape} but the image {image.shape[:2]}")
    result = display(image)
    factor = 1 if max_width is None else -(-image.shape[1] // max_width)
    for class_id in _classes(mask, ignore):
        inside = mask == class_id
        colour = np.array(class_colour(class_id), np.float32)
        result[inside] = np.rint((1 - strength) * result[inside] + strength * colour).astype(np.uint8)
    if truth is not None:
        for class_id in _classes(truth, ignore):
            result[_around(truth == class_id, factor)] = class_colour(class_id)
    return shrink(result, factor)


def _classes(ids: NDArray[np.integer], ignore: int | None) -> list[int]:
    return [int(i) for i in np.unique(ids) if i not in (0, ignore)]


def _around(inside: NDArray[np.bool_], thickness: int) -> NDArray[np.bool_]:
    """The line just outside a region, so that the smallest defect stays visible within it."""
    grown = inside.copy()
    for _ in range(thickness):
        wider = grown.copy()
        wider[1:] |= grown[:-1]
        wider[:-1] |= grown[1:]
        wider[:, 1:] |= grown[:, :-1]
        wider[:, :-1] |= grown[:, 1:]
        grown = wider
    edge: NDArray[np.bool_] = grown & ~inside
    return edge
