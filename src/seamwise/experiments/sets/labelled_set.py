"""Pictures with a class each, in two sides: one to learn from and one to test on."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Samples = tuple[NDArray[np.uint8], NDArray[np.uint8]]  # pictures (N, ...) and their classes (N,)


@dataclass(frozen=True)
class LabelledSet:
    """A set of small pictures for classification.

    x: (N, ...) uint8, grey (N, H, W) or colour (N, 3, H, W). y: (N,) int64 class ids, places in `classes`. x_test,
    y_test: the same of the test side. digest: SHA-256 over the bytes of the four tensors, by which results know their
    data.
    """

    name: str
    x: Tensor
    y: Tensor
    x_test: Tensor
    y_test: Tensor
    classes: tuple[str, ...]
    digest: str

    @staticmethod
    def of(name: str, train: Samples, test: Samples, classes: tuple[str, ...]) -> LabelledSet:
        """The two sides as tensors, with their digest; arrays must be writable."""
        parts: list[Tensor] = []
        seen = hashlib.sha256()
        for pictures, labels in (train, test):
            for array in (np.ascontiguousarray(pictures), labels.astype("<i8")):
                seen.update(array.data)
                parts.append(torch.from_numpy(array))
        x, y, x_test, y_test = parts
        return LabelledSet(name, x, y, x_test, y_test, classes, seen.hexdigest())
