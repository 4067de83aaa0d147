"""Fully convolutional network with skip connections, after FCN-8s (Long et al. 2015), on a small encoder of its own."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from seamwise.vision.networks.layers import Block, initialise, start_at_prior
from seamwise.vision.networks.network import Network, checked_spec


class FCN(Network):
    """An encoder to stride 32 whose maps at strides 8, 16 and 32 are scored, added coarse to fine, and enlarged.

    width: channels at stride 2, doubled at each halving up to `widest`. norm, dropout, residual, prior: as in UNet.
    The features are the three scored maps together.
    """

    def __init__(
        self,
        channels: int,
        classes: int,
        width: int = 16,
        widest: int = 256,
        norm: str = "group",
        dropout: float = 0.0,
        residual: bool = False,
        prior: float | None = 0.01,
    ) -> None:
        super().__init__(checked_spec("fcn", locals()), stride=32)
        widths = [min(width * 2**level, max(widest, width)) for level in range(5)]
        # as in UNet's half stem, the first convolution reads 2x2 cells as channels
        inside = [channels * 4, *widths[:-1]]
        self.encoder = nn.ModuleList(Block(a, b, norm, dropout, residual) for a, b in zip(inside, widths, strict=True))
        self.scores = nn.ModuleList(nn.Conv2d(w, classes, 1) for w in widths[2:])
        initialise(self)
        for level, score in enumerate(self.scores):
            assert isinstance(score, nn.Conv2d)
            # the three scores are added: one bias says the prior, the others start at zero
            start_at_prior(score, prior if level == 2 else None)

    def body(self, x: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        x = F.pixel_unshuffle(x, 2)
        maps: list[Tensor] = []
        for level, block in enumerate(self.encoder):
            x = block(x if level == 0 else F.max_pool2d(x, 2))
            maps.append(x)
        total = self.scores[2](maps[4])
        for score, skip in ((self.scores[1], maps[3]), (self.scores[0], maps[2])):
            total = _enlarged(total, 2) + score(skip)
        return _enlarged(total, 8), tuple(maps[2:])


def _enlarged(x: Tensor, factor: int) -> Tensor:
    return F.interpolate(x, scale_factor=factor, mode="bilinear", align_corners=False)
