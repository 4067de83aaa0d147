"""MONAI's networks (https://monai.io) by name, for pictures of any size; needs the extra `seamwise[monai]`."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from types import ModuleType

from torch import Tensor, nn

from seamwise.errors import UsageError
from seamwise.vision.networks.network import Network, Spec, checked_spec, pad_to_multiple

# Parameters that MONAI builds but never reads here: U-Net++'s shallower answers, the transformer's cross-attention.
_UNUSED = ("final_conv_0_1", "final_conv_0_2", "final_conv_0_3", "norm_cross_attn")


class MonaiNetwork(Network):
    """One of MONAI's networks behind our interface.

    network: MONAI's module. scoring: the name of its last layer, whose inputs are the features. stride: a picture is
    padded to a multiple of it. tile: None, or the one picture size that the network is built for; larger pictures are
    then cut into tiles side by side, so blend (`sliding.predict` with this tile) where seams matter.
    """

    def __init__(self, spec: Spec, network: nn.Module, scoring: str, stride: int, tile: int | None = None) -> None:
        super().__init__(spec, stride if tile is None else tile)
        self.network = network
        self.tile = tile
        self.scoring = scoring
        for name, parameter in network.named_parameters():
            parameter.requires_grad_(not any(part in name for part in _UNUSED))

    def body(self, x: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        hidden: list[Tensor] = []

        def keep(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            hidden.append(inputs[0])

        watch = self.network.get_submodule(self.scoring).register_forward_pre_hook(keep)
        try:
            logits = self.network(x if self.tile is None else _cut(x, self.tile))
        finally:
            watch.remove()
        if isinstance(logits, list):  # U-Net++ answers with a list, one entry a depth
            logits = logits[-1]
        if self.tile is None:
            return logits, (hidden[0],)
        return _joined(logits, x, self.tile), (_joined(hidden[0], x, hidden[0].shape[-1]),)

    def _pad(self, x: Tensor) -> Tensor:
        return pad_to_multiple(x, self.stride, at_least=self.tile or 0)


def _cut(x: Tensor, tile: int) -> Tensor:
    """(N, C, a * tile, b * tile) to (N * a * b, C, tile, tile)."""
    n, c, h, w = x.shape
    parts = x.reshape(n, c, h // tile, tile, w // tile, tile).permute(0, 2, 4, 1, 3, 5)
    return parts.reshape(-1, c, tile, tile)


def _joined(parts: Tensor, x: Tensor, side: int) -> Tensor:
    """The reverse of `_cut` for maps of any number of channels, whose tiles are `side` wide."""
    n = x.shape[0]
    c = parts.shape[1]
    down = round((parts.shape[0] // n * x.shape[2] / x.shape[3]) ** 0.5)
    across = parts.shape[0] // n // down
    grid = parts.reshape(n, down, across, c, side, side).permute(0, 3, 1, 4, 2, 5)
    return grid.reshape(n, c, down * side, across * side)


def _nets() -> ModuleType:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # third-party deprecations are not the user's business
            from monai.networks import nets
    except ImportError as error:
        raise UsageError(f"MONAI's networks need an extra: pip install seamwise[monai] ({error})") from error
    module: ModuleType = nets
    return module


def _levels(width: int, depth: int) -> tuple[list[int], list[int]]:
    return [width * 2**level for level in range(depth + 1)], [2] * depth


def attention_unet(channels: int, classes: int, width: int = 16, depth: int = 4, dropout: float = 0.0) -> MonaiNetwork:
    """Attention U-Net (Oktay et al. 2018): gates on the skip connections. It normalises by batch."""
    spec = checked_spec("attention_unet", locals())
    widths, strides = _levels(width, depth)
    network = _nets().AttentionUnet(2, channels, classes, widths, strides, dropout=dropout)
    return MonaiNetwork(spec, network, "model.2", 2**depth)


def monai_unet(
    channels: int, classes: int, width: int = 16, depth: int = 4, units: int = 2, dropout: float = 0.0
) -> MonaiNetwork:
    """MONAI's U-Net with `units` residual convolutions a block (Kerfoot et al. 2019). It normalises by instance."""
    spec = checked_spec("monai_unet", locals())
    widths, strides = _levels(width, depth)
    network = _nets().UNet(2, channels, classes, widths, strides, num_res_units=units, dropout=dropout)
    return MonaiNetwork(spec, network, "model.2", 2**depth)


def unet_plus_plus(channels: int, classes: int, width: int = 16, dropout: float = 0.0) -> MonaiNetwork:
    """U-Net++ (Zhou et al. 2018): nested skip connections. It normalises by instance."""
    spec = checked_spec("unet_plus_plus", locals())
    widths = (width, width, 2 * width, 4 * width, 8 * width, width)
    network = _nets().BasicUNetPlusPlus(2, channels, classes, widths, dropout=dropout)
    return MonaiNetwork(spec, network, "final_conv_0_4", 16)


def segresnet(channels: int, classes: int, width: int = 16, dropout: float = 0.0) -> MonaiNetwork:
    """SegResNet (Myronenko 2018, without the autoencoder branch): residual, normalised by groups of channels."""
    spec = checked_spec("segresnet", locals())
    if width % 8:
        raise UsageError(f"network option width={width}: segresnet needs a multiple of 8")
    network = _nets().SegResNet(2, width, channels, classes, dropout_prob=dropout or None)
    return MonaiNetwork(spec, network, "conv_final.2", 8)


def unetr(
    channels: int,
    classes: int,
    tile: int = 128,
    width: int = 16,
    hidden: int = 192,
    mlp: int = 768,
    heads: int = 6,
    dropout: float = 0.0,
) -> MonaiNetwork:
    """UNETR (Hatamizadeh et al. 2022): a vision transformer as encoder, built for one picture size, `tile`."""
    spec = checked_spec("unetr", locals())
    if tile % 16 or hidden % heads:
        raise UsageError(
            f"unetr needs tile ({tile}) a multiple of 16, and hidden ({hidden}) a multiple of heads ({heads})"
        )
    network = _nets().UNETR(
        channels, classes, tile, width, hidden, mlp, heads, norm_name="instance", dropout_rate=dropout, spatial_dims=2
    )
    return MonaiNetwork(spec, network, "out", 16, tile)


def swin_unetr(channels: int, classes: int, width: int = 24, dropout: float = 0.0) -> MonaiNetwork:
    """Swin UNETR (Hatamizadeh et al. 2022): a transformer with shifted windows as encoder."""
    spec = checked_spec("swin_unetr", locals())
    if width % 12:
        raise UsageError(f"network option width={width}: swin_unetr needs a multiple of 12")
    network = _nets().SwinUNETR(channels, classes, feature_size=width, drop_rate=dropout, spatial_dims=2)
    return MonaiNetwork(spec, network, "out", 32)


MONAI_NETWORKS: dict[str, Callable[..., Network]] = {
    "attention_unet": attention_unet,
    "monai_unet": monai_unet,
    "unet_plus_plus": unet_plus_plus,
    "segresnet": segresnet,
    "unetr": unetr,
    "swin_unetr": swin_unetr,
}
