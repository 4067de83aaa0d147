"""Looks at a picture file that a stranger sent: its header first, then all of it, within limits.

The header alone decides whether it is decoded at all: a small file can claim any size.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import BinaryIO

import numpy as np
import tifffile
from numpy.typing import NDArray

from seamwise.app.limits import TooLargeError, WrongTypeError
from seamwise.errors import BadInputError
from seamwise.settings import Settings
from seamwise.vision.images import read_image, read_mask

_MOST_PAGES = 16
# Markers that begin a JPEG's frame; C4, C8 and CC are tables.
_FRAMES = set(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


@dataclass(frozen=True)
class Looked:
    """What a picture is. format: png, tiff or jpeg. bits: of a channel, 8 or 16."""

    format: str
    width: int
    height: int
    bits: int
    pitch_mm: float | None


@dataclass(frozen=True)
class PictureLimits:
    """Most bytes of a file and most pixels of what it shows."""

    bytes: int
    pixels: int

    @classmethod
    def of(cls, settings: Settings) -> PictureLimits:
        return cls(int(settings.max_image_mb * 1e6), settings.max_pixels)


SUFFIXES = {"png": ".png", "tiff": ".tif", "jpeg": ".jpg"}
MEDIA_TYPES = {"png": "image/png", "tiff": "image/tiff", "jpeg": "image/jpeg"}


def format_of(start: bytes) -> str | None:
    """The format of a picture by its first four bytes or more; None for what is none."""
    if start.startswith(b"\x89PNG"):
        return "png"
    if start.startswith((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")):
        return "tiff"
    return "jpeg" if start.startswith(b"\xff\xd8\xff") else None


def look(path: Path, name: str, limits: PictureLimits) -> Looked:
    """Reads a whole picture within limits. name: what to call it in messages.

    Raises TooLargeError, WrongTypeError, and BadInputError for a damaged one.
    """
    kind = check_header(path, name, limits)
    try:
        image = read_image(path)
    except BadInputError as error:
        raise _renamed(error, path, name) from error
    height, width = image.pixels.shape[:2]
    return Looked(kind, width, height, 8 * image.pixels.itemsize, image.pitch_mm)


def look_at_mask(
    path: Path, name: str, limits: PictureLimits, classes: int, ignore: int | None, size: tuple[int, int] | None
) -> NDArray[np.uint8]:
    """Reads a mask within limits: class ids (H, W). size: (height, width) of its picture.

    Raises TooLargeError, WrongTypeError, and BadInputError for a damaged one, another size, or ids without a class.
    """
    check_header(path, name, limits)
    try:
        return read_mask(path, classes, ignore, size)
    except BadInputError as error:
        raise _renamed(error, path, name) from error


def check_header(path: Path, name: str, limits: PictureLimits) -> str:
    """The format of a picture file whose header keeps to the limits; nothing of the picture is decoded."""
    size = path.stat().st_size
    if size > limits.bytes:
        raise TooLargeError(
            f"{name}: {size / 1e6:.1f} MB, more than the {limits.bytes / 1e6:g} MB of a picture; cut it into parts"
        )
    if size == 0:
        raise BadInputError(f"{name}: the file is empty; send it again")
    with path.open("rb") as file:
        kind = format_of(file.read(4))
        if kind is None:
            raise WrongTypeError(f"{name}: it is not a PNG, TIFF or JPEG picture; convert it to one of them")
        file.seek(0)
        try:
            sizes = {"png": _png_sizes, "jpeg": _jpeg_sizes, "tiff": _tiff_sizes}[kind](file, limits)
        except BadInputError as error:
            raise type(error)(f"{name}: {error}") from error
        except Exception as error:  # what a damaged header leads its readers to: there is no list of it
            raise BadInputError(f"{name}: its header is damaged ({error}); export it again") from error
    for width, height in sizes:
        if width < 1 or height < 1:
            raise BadInputError(f"{name}: its header says {width} x {height} pixels; export it again")
        if width * height > limits.pixels:
            raise TooLargeError(
                f"{name}: {width} x {height} pixels, more than the {limits.pixels} of a picture; cut it into parts"
            )
    return kind


def _renamed(error: BadInputError, path: Path, name: str) -> BadInputError:
    """The error under the name that its sender knows the file by."""
    return BadInputError(str(error).replace(str(path), name))


def _png_sizes(file: BinaryIO, limits: PictureLimits) -> list[tuple[int, int]]:
    start = file.read(24)
    if len(start) < 24 or start[12:16] != b"IHDR":
        raise BadInputError("it is cut short or does not begin with a PNG header; export it again")
    width, height = struct.unpack(">II", start[16:24])
    return [(width, height)]


def _jpeg_sizes(file: BinaryIO, limits: PictureLimits) -> list[tuple[int, int]]:
    """Of every frame: readers differ in which of several they believe."""
    file.seek(2)
    sizes: list[tuple[int, int]] = []
    while len(start := file.read(4)) == 4 and start[0] == 0xFF:
        if start[1] == 0xFF:  # fill
            file.seek(-3, 1)
            continue
        if start[1] == 0xDA:  # the picture itself begins
            break
        length = int.from_bytes(start[2:4], "big")
        body = file.read(max(length - 2, 0))
        if start[1] in _FRAMES and len(body) >= 5:
            height, width = struct.unpack(">HH", body[1:5])
            sizes.append((width, height))
    if not sizes:
        raise BadInputError("it is cut short or damaged; copy or export it again")
    return sizes


def _tiff_sizes(file: BinaryIO, limits: PictureLimits) -> list[tuple[int, int]]:
    """Of every page, previews too."""
    with tifffile.TiffFile(file) as tiff:
        pages = [page.aspage() for page in islice(tiff.pages, _MOST_PAGES + 1)]
        if len(pages) > _MOST_PAGES:
            raise BadInputError("it has many pages; save the one you mean as a file of its own")
        for page in pages:
            if page.is_tiled and page.tilewidth * page.tilelength > limits.pixels:
                raise TooLargeError(f"its tiles have {page.tilewidth} x {page.tilelength} pixels; export it again")
        return [(int(page.imagewidth), int(page.imagelength)) for page in pages]
