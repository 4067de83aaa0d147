"""What all segmentation networks share: any picture size, a specification to rebuild from, features beside logits."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seamwise.errors import UsageError

Spec = dict[str, str | int | float | bool | None]

CHOICES = {"norm": ("group", "batch", "none"), "stem": ("full", "half")}
COUNTS = {"depth": 10, "units": 10}  # how many layers are made is bounded: each takes time, however small it is


class Network(nn.Module):
    """A segmentation network: pictures (N, channels, H, W) of any size in, logits (N, classes, H, W) out.

    spec: plain JSON values from which `build_network(**spec)` builds the same network again. A subclass implements
    `body` for sizes that are multiples of `stride`; padding to such a size and cropping back happen here.
    """

    def __init__(self, spec: Spec, stride: int) -> None:
        super().__init__()
        self.spec = spec
        self.stride = stride

    def body(self, x: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Logits, and the last hidden activations: the maps (N, F, h, w) that the scoring layers read."""
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        return self._crop(self.body(self._pad(x))[0], x)

    def features(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (N, classes, H, W) and features (N, F): the last hidden activations averaged over the picture."""
        logits, hidden = self.body(self._pad(x))
        return self._crop(logits, x), pooled(hidden)

    def _pad(self, x: Tensor) -> Tensor:
        return pad_to_multiple(x, self.stride)

    @staticmethod
    def _crop(logits: Tensor, x: Tensor) -> Tensor:
        return logits[..., : x.shape[-2], : x.shape[-1]]


def pooled(hidden: tuple[Tensor, ...]) -> Tensor:
    """Mean over the picture of each map (N, F, h, w), in at least float32, joined to (N, sum of F)."""
    maps = [h.float() if h.dtype.itemsize < 4 else h for h in hidden]
    return torch.cat([h.mean((2, 3)) for h in maps], 1)


def pad_to_multiple(x: Tensor, multiple: int, at_least: int = 0) -> Tensor:
    """Pad at the bottom and right to a multiple, and to at least two cells of the coarsest grid.

    By reflection, or by repeating the border where the picture is too small to reflect. Two cells, because a
    normalisation over one value has no variance (torch's BatchNorm refuses it).
    """
    for axis in (2, 3):
        size = x.shape[axis]
        missing = max(math.ceil(size / multiple) * multiple, at_least or 2 * multiple) - size
        if missing:
            pad = (0, missing, 0, 0) if axis == 3 else (0, 0, 0, missing)
            x = F.pad(x, pad, mode="reflect" if missing < size else "replicate")
    return x


def checked_spec(name: str, values: Mapping[str, object]) -> Spec:
    """The specification of the network `name` from its constructor's arguments; a UsageError names a wrong one."""
    spec: Spec = {"name": name}
    for option, value in values.items():
        if option in ("self", "__class__"):
            continue
        wrong = _complaint(option, value)
        if wrong:
            raise UsageError(f"network option {option}={value!r}: {wrong}")
        assert value is None or isinstance(value, str | int | float)
        spec[option] = value
    return spec


def _complaint(option: str, value: object) -> str | None:
    """What is wrong with an option's value, if something is."""
    if option in ("dropout", "prior"):
        number = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1
        return None if number or (option == "prior" and value is None) else "give a number from 0 to below 1"
    if option in CHOICES:
        return None if value in CHOICES[option] else f"choose one of {', '.join(CHOICES[option])}"
    if option in COUNTS:
        right = isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= COUNTS[option]
        return None if right else f"give a whole number from 1 to {COUNTS[option]}"
    if option == "residual":
        return None if isinstance(value, bool) else "give true or false"
    right = isinstance(value, int) and not isinstance(value, bool) and value >= 1
    return None if right else "give a whole number, 1 or more"
