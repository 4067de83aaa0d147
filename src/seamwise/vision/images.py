"""Reading and writing pictures and masks at their own depth, 8 or 16 bits."""

from __future__ import annotations

import io
import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

import numpy as np
from numpy.typing import NDArray
from PIL.JpegImagePlugin import JpegImageFile

from seamwise.errors import BadInputError, SeamwiseError, UsageError
from seamwise.files import atomic_write
from seamwise.vision import png, tiff
from seamwise.vision.raster import Pixels, Raster, check_size, stored

__all__ = ["MAX_PIXELS", "Image", "atomic_write", "read_image", "read_mask", "to_float", "window", "write_image"]

# A small file can claim any size: no more than this is decoded (at most 4 GB, 16-bit with four channels).
MAX_PIXELS = 500_000_000
_JPEG = b"\xff\xd8\xff"
_QUIET = Lock()


@dataclass(frozen=True)
class Image:
    """A picture as it was taken: pixels (H, W, C) uint8 or uint16, C 1 (grey) or 3 (RGB); pitch_mm where known."""

    pixels: Pixels
    pitch_mm: float | None = None


def read_image(path: str | Path) -> Image:
    """Read a picture at its own depth; palettes become RGB, alpha is dropped, min-is-white is turned.

    The orientation that a camera notes beside the pixels is not applied: masks are drawn on the stored pixels.
    Raises BadInputError naming the file and the way out.
    """
    path = Path(path)
    raster, pixels = _read(path, Raster.picture)
    return Image(pixels, raster.pitch_mm)


def read_mask(
    path: str | Path, classes: int, ignore: int | None = None, shape: tuple[int, int] | None = None
) -> NDArray[np.uint8]:
    """Read a mask, (H, W) uint8 of class ids 0..classes-1 and `ignore`; palette masks give the numbers, not colours.

    shape: the picture's (H, W), when it has to fit one. Raises BadInputError naming file, values and the way out.
    """
    path = Path(path)
    _, labels = _read(path, Raster.labels)
    if shape is not None and labels.shape != tuple(shape):
        raise BadInputError(
            f"{path}: the mask is {labels.shape[1]} x {labels.shape[0]} pixels but its image {shape[1]} x {shape[0]}; "
            "save the mask at the image's size"
        )
    values = [int(value) for value in np.flatnonzero(np.bincount(labels.ravel()))]
    strange = [value for value in values if value >= classes and value != ignore]
    if strange:
        raise BadInputError(f"{path}: {_strange_values(strange, values, classes, ignore)}")
    return labels.astype(np.uint8)


def write_image(path: str | Path, pixels: Pixels, pitch_mm: float | None = None) -> None:
    """Write pixels (H, W), (H, W, 1) or (H, W, 3), uint8 or uint16, as PNG or TIFF by the name's ending.

    The file appears whole or not at all. Raises BadInputError for what cannot be written so, SeamwiseError when the
    system refuses (full disk).
    """
    path = Path(path)
    encode = {".png": png.encode_png, ".tif": tiff.encode_tiff, ".tiff": tiff.encode_tiff}.get(path.suffix.lower())
    if encode is None:
        raise BadInputError(f"cannot write {path}: the name must end in .png, .tif or .tiff (JPEG would lose detail)")
    if pixels.dtype.kind != "u" or pixels.itemsize > 2:
        raise BadInputError(f"cannot write {path}: pixels are {pixels.dtype}; convert them to uint8 or uint16")
    grid = pixels[:, :, None] if pixels.ndim == 2 else pixels
    if grid.ndim != 3 or grid.shape[2] not in (1, 3) or grid.size == 0:
        raise BadInputError(f"cannot write {path}: pixels have shape {pixels.shape}; give (H, W) grey or (H, W, 3) RGB")
    if pitch_mm is not None and not (math.isfinite(pitch_mm) and 1e-4 <= pitch_mm <= 100):
        raise BadInputError(f"cannot write {path}: pitch_mm {pitch_mm} is not a pixel size from 0.0001 to 100 mm")
    atomic_write(path, encode(stored(grid), pitch_mm))


def to_float(pixels: Pixels) -> NDArray[np.float32]:
    """Pixels (H, W, C) or (H, W), 8 or 16 bits, as float32 (C, H, W) in 0..1."""
    grid = pixels[:, :, None] if pixels.ndim == 2 else pixels
    scale = np.float32(np.iinfo(pixels.dtype).max)
    return np.ascontiguousarray(grid.transpose(2, 0, 1), dtype=np.float32) / scale


def window(x: NDArray[np.float32], low: float = 1.0, high: float = 99.0) -> NDArray[np.float32]:
    """Stretch (C, H, W) so that its `low` and `high` percentiles become 0 and 1; nothing is clipped.

    All channels are stretched alike. A constant picture becomes zeros.
    """
    if not 0 <= low < high <= 100:
        raise UsageError(f"window percentiles {low} and {high}: choose 0 <= low < high <= 100")
    bottom, top = (float(value) for value in np.percentile(x, [low, high]))
    if top <= bottom:
        # Nearly everything has one value (an empty scan with one echo): its extremes are what there is to stretch.
        bottom, top = float(x.min()), float(x.max())
    if top <= bottom:
        return np.zeros_like(x, dtype=np.float32)
    return ((x - np.float32(bottom)) / np.float32(top - bottom)).astype(np.float32)


def _read(path: Path, view: Callable[[Raster], Pixels]) -> tuple[Raster, Pixels]:
    """The file's raster and one view of it; whatever goes wrong becomes a BadInputError that names the file."""
    data = _bytes(path)
    try:
        raster = _decode(data)
        if view is Raster.labels and data.startswith(_JPEG):
            raise BadInputError("JPEG blurs class ids; save the mask as PNG")
        return raster, view(raster)
    except BadInputError as error:
        raise BadInputError(f"{path}: {error}") from error
    except MemoryError as error:
        raise SeamwiseError(f"{path}: not enough memory to read it; free some or cut the picture into parts") from error
    except Exception as error:
        # The decoders raise whatever the damaged bytes lead them to: there is no list of it.
        raise BadInputError(f"{path}: it is damaged or cut short ({error}); copy or export it again") from error


def _bytes(path: Path) -> bytes:
    try:
        if not path.is_file():
            what = "it is not a file" if path.exists() else "there is no such file"
            raise BadInputError(f"{path}: {what}; check the name")
        size = path.stat().st_size
        if size > 8 * MAX_PIXELS + 2**24:
            raise BadInputError(f"{path}: {size / 1e9:.1f} GB is more than is read at once; cut the picture into parts")
        data = path.read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a null character in the name
        raise BadInputError(f"{path}: cannot be read ({error}); check the name and its permissions") from error
    if not data:
        raise BadInputError(f"{path}: the file is empty; copy or export it again")
    return data


def _decode(data: bytes) -> Raster:
    # By content, not by name: a .png that is a JPEG inside is common.
    if data.startswith(png.SIGNATURE):
        return png.decode_png(data, MAX_PIXELS)
    if data.startswith(tiff.SIGNATURES):
        return tiff.decode_tiff(data, MAX_PIXELS)
    if data.startswith(_JPEG):
        return _decode_jpeg(data)
    raise BadInputError("it is not a PNG, TIFF or JPEG picture; convert it to one of them")


def _decode_jpeg(data: bytes) -> Raster:
    # Not Image.open: its own size check warns, and that warning would be ours. Filters belong to the whole process.
    with _QUIET, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        picture = JpegImageFile(io.BytesIO(data))
    with picture:
        check_size(*picture.size, MAX_PIXELS)
        samples = stored(np.asarray(picture if picture.mode in ("L", "RGB") else picture.convert("RGB")))
    return Raster(samples, colours=samples.shape[2])


def _strange_values(strange: list[int], values: list[int], classes: int, ignore: int | None) -> str:
    shown = ", ".join(str(value) for value in strange[:8]) + (", ..." if len(strange) > 8 else "")
    allowed = f"0..{classes - 1}" + ("" if ignore is None else f" and {ignore} (ignore)")
    if values == [0, 255] and classes == 2:
        remedy = "it looks black and white: divide its values by 255 so that a defect is 1"
    elif strange == [255]:
        remedy = "if 255 marks what is to be left out, say so with `ignore: 255` in domain.yaml"
    else:
        remedy = "correct the mask, or list all the classes in domain.yaml"
    return f"the mask has the values {shown}, but class ids are {allowed}; {remedy}"
