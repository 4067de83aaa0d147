"""The IDX format of MNIST: a magic number, the size of each dimension, then the bytes of the array."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from seamwise.errors import BadInputError

_UNSIGNED_BYTES = 8  # the format's code of the element type


def decode_idx(content: bytes, dimensions: int) -> NDArray[np.uint8]:
    """The array of so many dimensions that an IDX file of unsigned bytes holds; raises BadInputError, without a path.

    Format: https://yann.lecun.com/exdb/mnist, "the IDX file format"; the sizes are big-endian.
    """
    magic = bytes((0, 0, _UNSIGNED_BYTES, dimensions))
    if content[:4] != magic:
        raise BadInputError(f"it begins with {content[:4].hex(' ') or 'nothing'}, an IDX file with {magic.hex(' ')}")
    start = 4 + 4 * dimensions
    shape = np.frombuffer(content[4:start].ljust(start - 4, b"\0"), dtype=">u4").tolist()
    if len(content) - start != math.prod(shape):
        sizes = " x ".join(map(str, shape))
        raise BadInputError(f"its header says {sizes} bytes, but {max(0, len(content) - start)} follow")
    return np.frombuffer(content, dtype=np.uint8, offset=start).reshape(shape).copy()
