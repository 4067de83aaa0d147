"""U-Net (Ronneberger et al. 2015), with a stem that spares a CPU most of the full-resolution work."""

from __future__ import annotations

import itertools

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seamwise.vision.networks.layers import Block, initialise, start_at_prior
from seamwise.vision.networks.network import Network, checked_spec


class UNet(Network):
    """Encoder and decoder joined by skip connections at every resolution.

    width: channels of the first level, doubled at each of the `depth` halvings up to `widest`. stem: "full" is the
    classic network; "half" works at half the resolution and adds full-resolution detail at the end from a few
    channels, at a third of the time; the features are then its last two maps, the fine and the wide one. norm:
    "group" (default), "batch" or "none". dropout: probability of dropping a channel after each block. residual:
    shortcuts around blocks. prior: initial probability of all foreground together; None for even odds.
    """

    def __init__(
        self,
        channels: int,
        classes: int,
        width: int = 16,
        depth: int = 4,
        widest: int = 256,
        stem: str = "half",
        norm: str = "group",
        dropout: float = 0.0,
        residual: bool = False,
        prior: float | None = 0.01,
    ) -> None:
        super().__init__(checked_spec("unet", locals()), stride=2**depth)
        half = stem == "half"
        self.stride *= 2 if half else 1
        widths = [min(width * 2**level, max(widest, width)) for level in range(depth + 1)]
        # half: the four pixels of a 2x2 cell become channels, so the first convolution covers 6x6 pixels at stride 2
        inside = [channels * 4 if half else channels, *widths[:-1]]
        self.encoder = nn.ModuleList(Block(a, b, norm, dropout, residual) for a, b in zip(inside, widths, strict=True))
        self.up = nn.ModuleList(nn.ConvTranspose2d(b, a, 2, stride=2) for a, b in itertools.pairwise(widths))
        self.decoder = nn.ModuleList(Block(2 * a, a, norm, dropout, residual) for a in widths[:-1])
        fine = max(8, width // 2) if half else width
        self.finish = FullResolution(channels, width, fine) if half else None
        self.head = nn.Conv2d(fine, classes, 1)
        initialise(self)
        start_at_prior(self.head, prior)

    def body(self, x: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        picture = x
        if self.finish is not None:
            x = F.pixel_unshuffle(x, 2)
        skips: list[Tensor] = []
        for level, block in enumerate(self.encoder):
            x = block(x if level == 0 else F.max_pool2d(x, 2))
            skips.append(x)
        for level in reversed(range(len(self.decoder))):
            x = self.decoder[level](torch.cat([skips[level], self.up[level](x)], 1))
        if self.finish is None:
            return self.head(x), (x,)
        fine = self.finish(x, picture)
        return self.head(fine), (fine, x)


class FullResolution(nn.Module):
    """From a map at half resolution and the picture itself to a map of few channels at full resolution.

    It is not normalised: that would cost as much as the rest of it, and both parts come in at a known scale.
    """

    def __init__(self, channels: int, width: int, fine: int) -> None:
        super().__init__()
        self.up = nn.ConvTranspose2d(width, fine, 2, stride=2)
        self.detail = nn.Conv2d(channels, fine, 3, padding=1)

    def forward(self, x: Tensor, picture: Tensor) -> Tensor:
        return F.relu(self.up(x) + self.detail(picture), inplace=True)
