"""TIFF pictures of one page, 1, 8 or 16 bits; tifffile reads and writes them, Pillow's libtiff unpacks LZW."""

from __future__ import annotations

import io
import logging
import struct
import warnings
import zlib
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL.TiffImagePlugin import TiffImageFile

from seamwise.errors import BadInputError
from seamwise.vision.raster import Pixels, Raster, check_size, pitch_from_density, stored

SIGNATURES = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _PALETTE = 0, 1, 2, 3
_PLAIN, _LZW, _DEFLATE, _OLD_DEFLATE, _PACKBITS = 1, 5, 8, 32946, 32773
_INCH, _CENTIMETRE = 2, 3
_UPRIGHT = 1
_AT_ONCE = 1 << 20  # bytes
_QUIET = Lock()

# tifffile logs what it finds odd in a damaged file; whoever sets up logging sees it, others see our error alone.
logging.getLogger("tifffile").addHandler(logging.NullHandler())


def decode_tiff(data: bytes, max_pixels: int) -> Raster:
    """Read a TIFF at its own depth; BadInputError (without the file's name) when it is not one grey or RGB picture."""
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        page = _picture(file)
        check_size(page.imagewidth, page.imagelength, max_pixels)
        if page.is_tiled:
            check_size(page.tilewidth, page.tilelength, max_pixels)
        colours = _colours(page)
        samples = _samples(page, data)
        bits = int(page.bitspersample)
        return Raster(
            samples=samples,
            colours=colours,
            maximum=2**bits - 1,
            palette=_palette(page) if page.photometric == _PALETTE else None,
            inverted=page.photometric == _WHITE_IS_ZERO,
            pitch_mm=_pitch(page),
        )


def tiff_size(path: Path) -> tuple[int, int]:
    """(height, width) of a TIFF file's picture, from its header; whatever tifffile raises for another file."""
    with tifffile.TiffFile(path) as file:
        page = _picture(file)
        return int(page.imagelength), int(page.imagewidth)


def _picture(file: tifffile.TiffFile) -> tifffile.TiffPage:
    # A preview (reduced resolution) beside the picture does no harm.
    pages = [page for page in (each.aspage() for each in file.pages) if not page.is_reduced]
    if len(pages) != 1:
        raise BadInputError(f"it has {len(pages)} pages; save the one you mean as a file of its own")
    return pages[0]


def encode_tiff(pixels: Pixels, pitch_mm: float | None = None) -> bytes:
    """A deflated TIFF of (H, W, 1) or (H, W, 3) pixels at their depth; the same bytes for the same pixels."""
    grey = pixels.shape[2] == 1
    buffer = io.BytesIO()
    tifffile.imwrite(
        buffer,
        pixels[:, :, 0] if grey else pixels,
        photometric="minisblack" if grey else "rgb",
        compression="zlib",
        metadata=None,
        software=False,
        resolution=None if pitch_mm is None else (10 / pitch_mm, 10 / pitch_mm),
        resolutionunit=None if pitch_mm is None else "CENTIMETER",
    )
    return buffer.getvalue()


def _colours(page: tifffile.TiffPage) -> int:
    """How many of the channels are not alpha, after refusing what is neither grey nor RGB of 1, 8 or 16 bits."""
    if page.imagedepth > 1:
        raise BadInputError(f"it is a volume of {page.imagedepth} slices; save the one you mean as a file of its own")
    if page.sampleformat != 1 or page.bitspersample not in (1, 8, 16):
        kind = {1: "unsigned", 2: "signed", 3: "floating point"}.get(int(page.sampleformat), "unknown")
        raise BadInputError(f"its numbers are {page.bitspersample}-bit {kind}; save it with 8 or 16 bits, unsigned")
    colours = int(page.samplesperpixel) - len(page.extrasamples)
    expected = {_WHITE_IS_ZERO: 1, _BLACK_IS_ZERO: 1, _PALETTE: 1, _RGB: 3}.get(int(page.photometric))
    if colours != expected or page.samplesperpixel > 4:
        name = getattr(page.photometric, "name", page.photometric)
        raise BadInputError(f"{page.samplesperpixel} channels of kind {name} are not supported; save it as grey or RGB")
    if page.photometric == _PALETTE and page.bitspersample != 8:
        raise BadInputError(f"its palette has {page.bitspersample}-bit numbers; save it as grey or RGB")
    return colours


def _samples(page: tifffile.TiffPage, data: bytes) -> Pixels:
    """The stored numbers, (H, W, C)."""
    compression = int(page.compression)
    row_bytes = int(page.imagewidth) * int(page.samplesperpixel) * int(page.bitspersample) // 8
    too_few = compression == _PLAIN and sum(page.databytecounts) < page.imagelength * row_bytes
    if not page.dataoffsets or 0 in page.databytecounts or too_few:
        raise BadInputError("parts of its picture are missing; export it again")
    if compression in (_LZW, _PACKBITS):
        return _libtiff(page, data)
    if compression not in (_PLAIN, _DEFLATE, _OLD_DEFLATE):
        name = getattr(page.compression, "name", compression)
        raise BadInputError(f"its compression ({name}) is not supported; save it uncompressed, with deflate or LZW")
    if compression != _PLAIN:
        _check_deflated(page, data)
    planes, _, height, width, channels = page.shaped
    samples = np.asarray(page.asarray(squeeze=False)).reshape(planes, height, width, channels)
    return stored(samples[0] if channels > 1 else samples[..., 0].transpose(1, 2, 0))


def _check_deflated(page: tifffile.TiffPage, data: bytes) -> None:
    """Refuse a strip or tile of more bytes than the picture's size implies: tifffile inflates each without a limit."""
    height, width = (page.tilelength, page.tilewidth) if page.is_tiled else (page.imagelength, page.imagewidth)
    most = (int(page.bitspersample) * int(page.samplesperpixel) * int(width) // 8 + 1) * int(height)
    for offset, length in zip(page.dataoffsets, page.databytecounts, strict=True):
        unpacking = zlib.decompressobj()
        left = most + 1
        packed = data[offset : offset + length]
        while packed and left > 0 and not unpacking.eof:
            left -= len(unpacking.decompress(packed, min(left, _AT_ONCE)))
            packed = unpacking.unconsumed_tail
        if left <= 0:
            raise BadInputError("its data unpack to more than its size says; export it again")


def _libtiff(page: tifffile.TiffPage, data: bytes) -> Pixels:
    """What tifffile cannot unpack by itself, through Pillow."""
    deep_colour = page.bitspersample == 16 and page.samplesperpixel > 1
    if deep_colour and page.samplesperpixel != 3:
        raise BadInputError("16-bit colour with alpha and this compression is not supported; save it with deflate")
    if deep_colour and page.planarconfig != 1:
        raise BadInputError("16-bit colour in separate planes and this compression is not supported; save with deflate")
    if not deep_colour:
        return _unpacked(page, data)
    # Pillow unpacks the high bytes only; read in the order that is not the machine's (libtiff swaps), the low ones.
    little = _unpacked(page, data, "RGB;16L").astype(np.uint16)
    big = _unpacked(page, data, "RGB;16B").astype(np.uint16)
    high, low = (little, big) if np.little_endian else (big, little)
    return stored((high << 8) | low)


def _unpacked(page: tifffile.TiffPage, data: bytes, layout: str | None = None) -> Pixels:
    data = _as_stored(page, data)
    # Pillow warns of odd tags that do not matter here. Filters belong to the whole process, hence the lock.
    with _QUIET, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        picture = TiffImageFile(io.BytesIO(data))
        with picture:
            if layout is not None:
                picture.tile = [_as(layout, tile) for tile in picture.tile]
            picture.load()
            samples = stored(np.asarray(picture))
    expected = (page.imagelength, page.imagewidth, page.samplesperpixel)
    if samples.shape != expected or samples.itemsize * 8 < (8 if layout else int(page.bitspersample)):
        raise BadInputError("this layout cannot be unpacked from its compression; save it uncompressed or with deflate")
    return samples


def _as_stored(page: tifffile.TiffPage, data: bytes) -> bytes:
    """The file with tags that let Pillow give the numbers as they are stored, neither inverted nor turned."""
    changed = bytearray(data)
    for name, wanted in (("PhotometricInterpretation", _BLACK_IS_ZERO), ("Orientation", _UPRIGHT)):
        tag = page.tags.get(name)
        plain = None if tag is None else {3: "H", 4: "I"}.get(int(tag.dtype))
        if tag is None or plain is None:
            continue
        if name == "Orientation" or tag.value == _WHITE_IS_ZERO:
            struct.pack_into(page.parent.byteorder + plain, changed, tag.valueoffset, wanted)
    return bytes(changed)


def _as(layout: str, tile: Any) -> Any:
    """Pillow's instruction for a part of the picture, with another layout of a pixel's bytes."""
    return tile._replace(args=(layout, *tile.args[1:]))


def _palette(page: tifffile.TiffPage) -> NDArray[np.uint8]:
    """(256, 3); TIFF stores palettes with 16 bits, for 8-bit colours times 257."""
    colours = np.asarray(page.colormap, np.uint16)
    if colours.shape != (3, 256):
        raise BadInputError("its palette is missing or damaged; export it again")
    return (colours.T >> 8).astype(np.uint8)


def _pitch(page: tifffile.TiffPage) -> float | None:
    x, y, unit = (page.tags.valueof(code) for code in ("XResolution", "YResolution", "ResolutionUnit"))
    millimetres = {_INCH: 25.4, _CENTIMETRE: 10.0}.get(_INCH if unit is None else unit)
    if millimetres is None or not (_is_ratio(x) and _is_ratio(y)):
        return None
    return pitch_from_density(x[0] / x[1] / millimetres, y[0] / y[1] / millimetres, tolerance=1e-6)


def _is_ratio(value: object) -> bool:
    return isinstance(value, tuple) and len(value) == 2 and all(isinstance(part, int) and part > 0 for part in value)
