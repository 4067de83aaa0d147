"""Segmentation networks by name: our own small ones, and MONAI's as an extra."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from seamwise.errors import UsageError
from seamwise.vision.networks.fcn import FCN
from seamwise.vision.networks.monai import MONAI_NETWORKS
from seamwise.vision.networks.network import Network
from seamwise.vision.networks.segnet import SegNet
from seamwise.vision.networks.unet import UNet

_BUILDERS: dict[str, Callable[..., Network]] = {"unet": UNet, "fcn": FCN, "segnet": SegNet, **MONAI_NETWORKS}

NETWORKS = tuple(_BUILDERS)

__all__ = ["NETWORKS", "Network", "build_network", "count_parameters", "network_options"]


def build_network(name: str, channels: int, classes: int, **options: Any) -> Network:
    """The network of that name for pictures of `channels` channels and `classes` classes, freshly initialised.

    The initial values follow torch's random seed. Unknown names and options raise UsageError with the nearest right
    ones. `build_network(**network.spec)` builds the same network again.
    """
    known = network_options(name)
    for option in options:
        if option not in known:
            listed = ", ".join(known)
            raise UsageError(f"network {name} has no option {option!r}{_nearest(option, known)}; its options: {listed}")
    return _BUILDERS[name](channels, classes, **options)


def count_parameters(name: str, channels: int, classes: int, **options: Any) -> int:
    """How many parameters that network has, counted without making them: no size takes memory.

    Raises UsageError for all that `build_network` refuses, and for sizes that no memory could hold.
    """
    try:
        with torch.device("meta"), _RealSteps():
            network = build_network(name, channels, classes, **options)
    except (TypeError, RuntimeError) as error:
        reason = str(error).partition("\n")[0]
        raise UsageError(f"network {name} cannot be built with the options {options}: {reason}") from error
    return sum(p.numel() for p in network.parameters())


class _RealSteps(TorchFunctionMode):
    """Keeps torch.linspace off the meta device: Swin UNETR reads its rates of dropped paths while it is built."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        return func(*args, **{**(kwargs or {}), **({"device": "cpu"} if func is torch.linspace else {})})


def network_options(name: str) -> dict[str, Any]:
    """The options of the network of that name, with their default values."""
    if name not in _BUILDERS:
        raise UsageError(f"no network is called {name!r}{_nearest(name, NETWORKS)}; there are: {', '.join(NETWORKS)}")
    parameters = list(inspect.signature(_BUILDERS[name]).parameters.values())
    return {p.name: p.default for p in parameters if p.name not in ("channels", "classes")}


def _nearest(word: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(word, list(known), n=1)
    return f" (did you mean {near[0]!r}?)" if near else ""
