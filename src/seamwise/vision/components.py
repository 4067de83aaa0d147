"""Connected components of a mask, class by class: the single defects in it, each with its pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

# Pixels that touch at a corner belong together: a crack one pixel wide runs diagonally.
TOUCHING = np.ones((3, 3), dtype=bool)


@dataclass(frozen=True)
class Components:
    """The connected components of the classes 1, 2, ... of a mask, sorted by class.

    kinds: (n,) class of each component. pixels: places in the flattened mask, one component after another.
    starts: (n + 1,), component i owns `pixels[starts[i]:starts[i + 1]]`.
    """

    kinds: NDArray[np.int64]
    pixels: NDArray[np.int32]
    starts: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.kinds)

    @property
    def areas(self) -> NDArray[np.int64]:
        return np.diff(self.starts)

    @property
    def nbytes(self) -> int:
        return self.kinds.nbytes + self.pixels.nbytes + self.starts.nbytes


def find_components(mask: NDArray[np.uint8], classes: int) -> Components:
    """Label (H, W) class ids; background (0) and every id from `classes` on, such as an ignore value, are left out."""
    kinds, pixels, areas = [], [], []
    boxes: list[Any] = ndimage.find_objects(mask, max_label=classes - 1) if classes > 1 else []
    for kind, box in enumerate(boxes, start=1):
        if box is None:  # no pixel of this class
            continue
        labels, n = ndimage.label(mask[box] == kind, structure=TOUCHING)
        rows, columns = np.nonzero(labels)
        owner = labels[rows, columns]
        flat = (rows + box[0].start) * mask.shape[1] + columns + box[1].start
        pixels.append(flat[np.argsort(owner, kind="stable")].astype(np.int32))
        areas.append(np.bincount(owner, minlength=n + 1)[1:])
        kinds.append(np.full(n, kind))
    if not kinds:
        return Components(np.zeros(0, np.int64), np.zeros(0, np.int32), np.zeros(1, np.int64))
    starts = np.concatenate([[0], np.cumsum(np.concatenate(areas))])
    return Components(np.concatenate(kinds).astype(np.int64), np.concatenate(pixels), starts.astype(np.int64))
