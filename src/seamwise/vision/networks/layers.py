"""The building blocks of our own networks: normalisation, convolution blocks and their initial values."""

from __future__ import annotations

import itertools
import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# Groups of at least 16 channels (a setting of Wu & He 2018, "Group Normalization", table 3). torch's CPU kernel for
# channels_last is vectorised over the channels of one group: with 2 a group it is ten times slower than with 16.
GROUP_CHANNELS = 16


def normalisation(kind: str, channels: int) -> nn.Module:
    """The normalisation layer of that kind ("group", "batch" or "none") for a map of so many channels."""
    if kind == "group":
        groups = max(1, channels // GROUP_CHANNELS)
        while channels % groups:
            groups -= 1
        return nn.GroupNorm(groups, channels)
    if kind == "batch":
        return nn.BatchNorm2d(channels)
    return nn.Identity()


class Block(nn.Module):
    """Convolutions 3x3, each with normalisation and ReLU; optionally residual, optionally with dropout of channels."""

    def __init__(
        self,
        inside: int,
        outside: int,
        norm: str = "group",
        dropout: float = 0.0,
        residual: bool = False,
        convolutions: int = 2,
    ) -> None:
        super().__init__()
        widths = [inside] + [outside] * convolutions
        self.convolutions = nn.ModuleList(
            nn.Conv2d(a, b, 3, padding=1, bias=norm == "none") for a, b in itertools.pairwise(widths)
        )
        self.norms = nn.ModuleList(normalisation(norm, outside) for _ in range(convolutions))
        self.shortcut: nn.Module | None = None
        if residual:
            self.shortcut = nn.Identity() if inside == outside else nn.Conv2d(inside, outside, 1)
        self.dropout = nn.Dropout2d(dropout) if dropout else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        y = x
        last = len(self.norms) - 1
        for i, (convolution, norm) in enumerate(zip(self.convolutions, self.norms, strict=True)):
            y = norm(convolution(y))
            if i == last and self.shortcut is not None:
                y = y + self.shortcut(x)
            y = F.relu(y, inplace=True)
        out: Tensor = self.dropout(y)
        return out


def initialise(network: nn.Module) -> None:
    """Kaiming initial values for every convolution (He et al. 2015), zero biases."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)


@torch.no_grad()
def start_at_prior(head: nn.Conv2d, prior: float | None) -> None:
    """Give a scoring layer the bias with which the softmax starts near `prior` for all foreground together.

    Rare foreground then does not begin with a loss that is almost all about the background (Lin et al. 2017,
    "Focal Loss", section 3.3). The weights start small, so that the bias decides. None or 0: even odds.
    """
    nn.init.normal_(head.weight, std=0.01)
    if head.bias is None:
        return
    nn.init.zeros_(head.bias)
    foreground = head.out_channels - 1
    if prior and foreground:
        head.bias[0] = math.log(1 - prior)
        head.bias[1:] = math.log(prior / foreground)
