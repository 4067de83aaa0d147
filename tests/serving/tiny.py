"""Versions so small that loading and asking one takes a moment, each with masks of its own."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from seamwise.serving import Engine, Loaded, make_probes, torch_engine
from seamwise.vision.networks import Network, build_network
from seamwise.vision.segmenter import Reading, Segmenter

CLASSES = ("background", "crack", "pore")
TILE = 32


def segmenter(name: str = "unet", seed: int = 0, channels: int = 1, tile: int = TILE, **reading: Any) -> Segmenter:
    """A network whose every class wins somewhere."""
    options: dict[str, Any] = {
        "unet": {"width": 4, "depth": 1},
        "fcn": {"width": 4, "widest": 8},
        "segnet": {"width": 4, "depth": 1},
        "attention_unet": {"width": 4, "depth": 2},
    }[name]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network: Network = build_network(name, channels, len(CLASSES), **options)
        for layer in (*getattr(network, "scores", ()), *([network.head] if hasattr(network, "head") else ())):
            assert isinstance(layer, nn.Conv2d)
            nn.init.normal_(layer.weight)
            assert layer.bias is not None
            nn.init.zeros_(layer.bias)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return Segmenter(network.eval(), Reading(CLASSES, channels, tile, **reading))


def picture(*shape: int, seed: int = 0) -> Tensor:
    """A prepared picture (C, H, W)."""
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def loaded(version: str, seed: int | None = None) -> Loaded:
    """A version `v<number>` with weights of that seed, tested with its own answers."""
    engine = torch_engine(segmenter(seed=int(version[1:]) if seed is None else seed), version)
    return Loaded(engine, make_probes(engine, [picture(1, 20, 20)]))


class Constant(nn.Module):
    """Answers class `kind` everywhere, whatever the picture."""

    def __init__(self, kind: int) -> None:
        super().__init__()
        self.kind = kind

    def forward(self, x: Tensor) -> Tensor:
        logits = x.new_zeros((len(x), len(CLASSES), *x.shape[2:]))
        logits[:, self.kind] = 9
        return logits


def constant(version: str) -> Loaded:
    """The cheapest version: `v<number>` answers class number % 3."""
    engine = Engine(version, "torch", Reading(CLASSES, 1, 8), Constant(int(version[1:]) % len(CLASSES)))
    return Loaded(engine, make_probes(engine, [picture(1, 8, 8)]))


def eventually(true: Callable[[], object], timeout_s: float = 60.0) -> None:
    """Wait until something holds."""
    end = time.monotonic() + timeout_s
    while not true():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.002)
