"""Pictures packed losslessly: .npz files of WebP strips, each of many 32 x 32 pictures one below another."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL.WebPImagePlugin import WebPImageFile

from seamwise.errors import BadInputError
from seamwise.experiments.sets.labelled_set import Samples

SIDE = 32


def read_strips(path: Path, classes: Sequence[str]) -> Samples:
    """Pictures (N, 3, 32, 32) RGB and their classes (N,) of one file, which must be of the given classes.

    The file's arrays: blob, the bytes of all strips; offsets, where each begins, and the end; strip_len, pictures a
    strip; labels, one a picture; class_names. Raises BadInputError naming the file.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as found:  # given a path it leaks a bad file
            arrays = {name: found[name] for name in ("blob", "offsets", "strip_len", "labels", "class_names")}
        return _decode(**arrays, classes=classes)
    except BadInputError as error:
        raise BadInputError(f"{path}: {error}") from error
    except Exception as error:
        # The decoders of zip, arrays and WebP raise whatever damaged bytes lead them to: there is no list of it.
        raise BadInputError(f"{path}: it is damaged or cut short ({error}); copy it again") from error


def _decode(
    blob: NDArray[np.uint8],
    offsets: NDArray[np.int64],
    strip_len: NDArray[np.int64],
    labels: NDArray[np.uint8],
    class_names: NDArray[np.str_],
    classes: Sequence[str],
) -> Samples:
    if class_names.tolist() != list(classes):
        raise BadInputError(f"its classes are {', '.join(map(str, class_names[:3]))}, ...; it is a file of another set")
    count = int(strip_len)
    if len(labels) != count * (len(offsets) - 1):
        raise BadInputError(f"{len(labels)} labels for {len(offsets) - 1} strips of {count} pictures; copy it again")
    if len(labels) and labels.max() >= len(classes):
        raise BadInputError(f"it has a label {labels.max()} but {len(classes)} classes; copy it again")
    x = np.empty((len(labels), 3, SIDE, SIDE), dtype=np.uint8)
    for i, pictures in enumerate(np.split(x, len(offsets) - 1)):
        # Not Image.open: its own size check warns, and that warning would be ours.
        strip = WebPImageFile(io.BytesIO(blob[offsets[i] : offsets[i + 1]].tobytes()))
        if strip.size != (SIDE, SIDE * count):
            raise BadInputError(f"strip {i} has {strip.size[0]} x {strip.size[1]} pixels; copy it again")
        pixels = np.asarray(strip.convert("RGB"))
        pictures[:] = pixels.reshape(count, SIDE, SIDE, 3).transpose(0, 3, 1, 2)
    return x, labels.astype(np.uint8)
