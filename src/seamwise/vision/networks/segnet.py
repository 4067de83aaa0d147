"""SegNet (Badrinarayanan et al. 2017): the decoder puts values back where the encoder's pooling found its maxima."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from seamwise.vision.networks.layers import Block, initialise, start_at_prior
from seamwise.vision.networks.network import Network, checked_spec


class SegNet(Network):
    """Encoder and decoder of equal shape that share pooling indices instead of feature maps.

    width: channels of the first level, doubled at each of the `depth` poolings up to `widest`. norm, dropout,
    residual, prior: as in UNet.
    """

    def __init__(
        self,
        channels: int,
        classes: int,
        width: int = 16,
        depth: int = 4,
        widest: int = 128,
        norm: str = "group",
        dropout: float = 0.0,
        residual: bool = False,
        prior: float | None = 0.01,
    ) -> None:
        super().__init__(checked_spec("segnet", locals()), stride=2**depth)
        widths = [min(width * 2**level, max(widest, width)) for level in range(depth)]
        self.encoder = nn.ModuleList(
            Block(a, b, norm, dropout, residual) for a, b in zip([channels, *widths[:-1]], widths, strict=True)
        )
        self.decoder = nn.ModuleList(
            Block(b, a, norm, dropout, residual) for a, b in zip([width, *widths[:-1]], widths, strict=True)
        )
        self.head = nn.Conv2d(width, classes, 1)
        initialise(self)
        start_at_prior(self.head, prior)

    def body(self, x: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        places: list[Tensor] = []
        for block in self.encoder:
            x, place = F.max_pool2d(block(x), 2, return_indices=True)
            places.append(place)
        for block, place in zip(reversed(self.decoder), reversed(places), strict=True):
            x = block(F.max_unpool2d(x, place, (2, 2)))
        return self.head(x), (x,)
