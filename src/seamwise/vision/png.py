"""PNG at its full depth: Pillow inflates it but reduces 16-bit colour to 8, so its bytes are put together here.

Format: W3C, Portable Network Graphics (PNG) Specification, third edition.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from PIL.PngImagePlugin import PngImageFile

from seamwise.errors import BadInputError
from seamwise.vision.raster import Pixels, Raster, check_size, pitch_from_density, stored

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_GREY, _RGB, _PALETTE, _GREY_ALPHA, _RGB_ALPHA = 0, 2, 3, 4, 6
_DEPTHS = {_GREY: (1, 2, 4, 8, 16), _RGB: (8, 16), _PALETTE: (1, 2, 4, 8), _GREY_ALPHA: (8, 16), _RGB_ALPHA: (8, 16)}
_CHANNELS = {_GREY: 1, _RGB: 3, _PALETTE: 1, _GREY_ALPHA: 2, _RGB_ALPHA: 4}
# Interlacing sends seven thinned pictures: first x, first y, step x, step y.
_ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
_WHOLE = ((0, 0, 1, 1),)
_CRITICAL = (b"IHDR", b"PLTE", b"IDAT", b"IEND")


def decode_png(data: bytes, max_pixels: int) -> Raster:
    """Read a PNG of any kind at its own depth; BadInputError (without the file's name) when it is damaged."""
    chunks = list(_chunks(data))
    if not chunks or chunks[0][0] != b"IHDR" or len(chunks[0][1]) != 13:
        raise BadInputError("it does not begin with a PNG header; export it again")
    width, height, depth, colour, *rest = struct.unpack(">IIBBBBB", chunks[0][1])
    check_size(width, height, max_pixels)
    if depth not in _DEPTHS.get(colour, ()):
        raise BadInputError(f"PNG has no colour type {colour} with {depth} bits; export it again")
    palette = next((body for kind, body in chunks if kind == b"PLTE"), None)
    if colour == _PALETTE and (palette is None or not palette or len(palette) % 3):
        raise BadInputError("its palette is missing or damaged; export it again")
    passes = _ADAM7 if rest[2] else _WHOLE
    thinned = [(-(-(width - x) // dx), -(-(height - y) // dy)) for x, y, dx, dy in passes]
    bits = _CHANNELS[colour] * depth
    _check_length(chunks, sum(rows * (1 + -(-columns * bits // 8)) for columns, rows in thinned if columns > 0 < rows))
    return Raster(
        samples=_samples(chunks, (width, height), depth, colour, rest),
        colours=3 if colour in (_RGB, _RGB_ALPHA) else 1,
        maximum=2**depth - 1,
        palette=np.frombuffer(palette or b"", np.uint8).reshape(-1, 3) if colour == _PALETTE else None,
        pitch_mm=_pitch(chunks),
    )


def encode_png(pixels: Pixels, pitch_mm: float | None = None) -> bytes:
    """A PNG of (H, W, 1) or (H, W, 3) pixels at their depth, 8 or 16 bits; the same bytes for the same pixels."""
    height, width, channels = pixels.shape
    depth = 8 * pixels.itemsize
    rows = pixels.astype(pixels.dtype.newbyteorder(">")).reshape(height, -1).view(np.uint8)
    packed = zlib.compress(_filtered(rows, channels * pixels.itemsize), 6)
    header = struct.pack(">IIBBBBB", width, height, depth, _GREY if channels == 1 else _RGB, 0, 0, 0)
    parts = [SIGNATURE, _chunk(b"IHDR", header)]
    if pitch_mm is not None:
        per_metre = round(1000 / pitch_mm)
        parts.append(_chunk(b"pHYs", struct.pack(">IIB", per_metre, per_metre, 1)))
    largest = 2**30  # a chunk's length has 31 bits
    parts += [_chunk(b"IDAT", packed[at : at + largest]) for at in range(0, len(packed), largest)]
    return b"".join([*parts, _chunk(b"IEND", b"")])


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The critical chunks and pHYs, each with its checksum verified; the rest (texts, profiles, animation) is left."""
    at = len(SIGNATURE)
    while at + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, at)
        kind, end = data[at + 4 : at + 8], at + 12 + length
        if end > len(data):
            break
        if kind in _CRITICAL or kind == b"pHYs":
            body = data[at + 8 : end - 4]
            if zlib.crc32(body, zlib.crc32(kind)) != struct.unpack_from(">I", data, end - 4)[0]:
                raise BadInputError("it is damaged (a checksum does not fit); copy or export it again")
            yield kind, body
        elif not kind[0] & 0x20:  # a capital first letter: nothing can be read without understanding this chunk
            raise BadInputError(f"it is damaged or not standard PNG (chunk {kind!r}); export it again")
        if kind == b"IEND":
            return
        at = end
    raise BadInputError("it is cut short; copy or export it again")


def _check_length(chunks: list[tuple[bytes, bytes]], expected: int) -> None:
    """Refuse a stream that ends early: Pillow would leave the rest of the picture black."""
    stream, length = zlib.decompressobj(), 0
    for kind, body in chunks:
        while kind == b"IDAT" and body and not stream.eof and length <= expected:
            length += len(stream.decompress(body, 2**20))
            body = stream.unconsumed_tail
    if length < expected:
        raise BadInputError("its pixels are not all there; copy or export it again")


def _samples(
    chunks: list[tuple[bytes, bytes]], size: tuple[int, int], depth: int, colour: int, rest: list[int]
) -> Pixels:
    """The stored numbers, (H, W, C)."""
    if depth == 16 and colour == _GREY_ALPHA:
        # Pillow has no such mode; four bytes a pixel are filtered and interlaced like 8-bit RGBA.
        header = struct.pack(">IIBBBBB", *size, 8, _RGB_ALPHA, *rest)
        return stored(_inflate([(b"IHDR", header), *chunks[1:]]).view(">u2"))
    if depth == 16 and colour in (_RGB, _RGB_ALPHA):
        # Pillow unpacks the high bytes only; told that the numbers are little-endian it unpacks the low ones.
        mode = "RGB" if colour == _RGB else "RGBA"
        high, low = _inflate(chunks, f"{mode};16B"), _inflate(chunks, f"{mode};16L")
        return stored((high.astype(np.uint16) << 8) | low)
    samples = _inflate(chunks)
    # Pillow stretches 2 and 4 bits of grey to 0..255; the stored number is what a mask means.
    return samples // np.uint8(255 // (2**depth - 1)) if colour == _GREY and depth in (2, 4) else samples


def _inflate(chunks: list[tuple[bytes, bytes]], layout: str | None = None) -> Pixels:
    """Let Pillow decompress, unfilter and de-interlace; `layout` overrides how it unpacks a pixel's bytes."""
    clean = SIGNATURE + b"".join(_chunk(kind, body) for kind, body in chunks if kind in _CRITICAL)
    with PngImageFile(io.BytesIO(clean)) as picture:
        if layout is not None:
            picture.tile = [picture.tile[0]._replace(args=layout)]
        picture.load()
        return stored(np.asarray(picture))


def _filtered(rows: NDArray[np.uint8], pixel_bytes: int) -> bytes:
    """Each row as its difference to the left or to the row above, whichever is smaller, after the filter's number."""
    left, above = rows.copy(), rows.copy()
    left[:, pixel_bytes:] -= rows[:, :-pixel_bytes]
    above[1:] -= rows[:-1]
    sub, up = 1, 2
    cost = [np.abs(part.view(np.int8).astype(np.int16)).sum(1, dtype=np.int64) for part in (left, above)]
    choice = np.where(cost[0] < cost[1], np.uint8(sub), np.uint8(up))[:, None]
    return np.hstack([choice, np.where(choice == sub, left, above)]).tobytes()


def _chunk(kind: bytes, body: bytes) -> bytes:
    return b"".join([struct.pack(">I", len(body)), kind, body, struct.pack(">I", zlib.crc32(body, zlib.crc32(kind)))])


def _pitch(chunks: list[tuple[bytes, bytes]]) -> float | None:
    body = next((body for kind, body in chunks if kind == b"pHYs" and len(body) == 9), None)
    if body is None:
        return None
    x_per_metre, y_per_metre, unit = struct.unpack(">IIB", body)
    if unit != 1 or not x_per_metre:
        return None
    return pitch_from_density(x_per_metre / 1000, y_per_metre / 1000, tolerance=0.5 / x_per_metre)
