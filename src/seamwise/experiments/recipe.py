"""How networks are built and trained in an experiment: one recipe for every strategy, so that they can be compared."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, get_args, get_origin, get_type_hints

import torch

from seamwise.continual import Draw, Training
from seamwise.continual.catalogue import nearest
from seamwise.continual.optimizers import OptimizerName
from seamwise.errors import UsageError
from seamwise.vision.augment import Augmentation
from seamwise.vision.losses import build_loss
from seamwise.vision.networks import build_network, count_parameters
from seamwise.vision.networks.network import Network


@dataclass(frozen=True)
class Recipe:
    """Network, sampling and training, equal for all strategies of a comparison.

    network_options: see `seamwise.vision.networks`. channels: 1 reads pictures as grey, 3 as colour. tile: side in
    pixels of training and prediction tiles. steps: optimizer steps for each experience. defect_share: part of the
    tiles drawn for a defect. most_tiles: limit of tiles an image counts for. window: stretch each picture's grey
    values to its percentiles. augment: options of `Augmentation`, or none of it. loss_options: see
    `seamwise.vision.losses`. The rest: see `Training`.
    """

    network: str = "unet"
    network_options: Mapping[str, Any] = field(default_factory=dict)
    channels: int = 1
    tile: int = 128
    overlap: float = 0.25
    steps: int = 300
    batch_size: int = 8
    optimizer: str = "adam"
    lr: float = 2e-3
    weight_decay: float = 0.0
    schedule: str = "cosine"
    warmup: float = 0.05
    clip: float | None = 1.0
    keep_optimizer: bool = False
    bf16: bool = False
    loss: str = "dice_ce"
    loss_options: Mapping[str, Any] = field(default_factory=dict)
    defect_share: float = 0.5
    most_tiles: int | None = None
    window: bool = True
    augment: Mapping[str, Any] | None = field(default_factory=dict)

    @staticmethod
    def of(options: Mapping[str, Any]) -> Recipe:
        """A recipe from plain values; UsageError names an unknown one and the nearest right names."""
        known = [f.name for f in fields(Recipe)]
        for name in map(str, options):
            if name not in known:
                raise UsageError(f"a recipe has no {name!r}{nearest(name, known)}")
        recipe = Recipe(**options)
        hints = get_type_hints(Recipe)
        for name in known:
            if not _fits(getattr(recipe, name), get_args(hints[name]) or (hints[name],), get_origin(hints[name])):
                wanted = getattr(hints[name], "__name__", str(hints[name]))
                raise UsageError(f"recipe: {name} must be {wanted}, not {getattr(recipe, name)!r}")
        return recipe

    def check(self, classes: int) -> int:
        """How many parameters the network will have.

        Raises UsageError for a value that cannot be used, before anything is begun.
        """
        for name, (right, wanted) in _RULES.items():
            if not right(getattr(self, name)):
                raise UsageError(f"recipe: {name} must be {wanted}, not {getattr(self, name)!r}")
        self.augmentation()
        try:
            target = torch.zeros((1, 2, 2), dtype=torch.int64)
            build_loss(self.loss, **self.loss_options)(torch.zeros(1, classes, 2, 2), target, None)
        except (TypeError, ValueError, RuntimeError) as error:
            raise UsageError(f"recipe: loss_options {dict(self.loss_options)}: {error}") from error
        return count_parameters(self.network, self.channels, classes, **self.network_options)

    def training(self, experiences: int = 1) -> Training:
        """The learner's settings; experiences: how many are learned at once (joint training takes as many steps)."""
        return Training(
            batch_size=self.batch_size,
            steps=self.steps * experiences,
            optimizer=self.optimizer,  # type: ignore[arg-type]
            lr=self.lr,
            weight_decay=self.weight_decay,
            schedule=self.schedule,  # type: ignore[arg-type]
            warmup=self.warmup,
            clip=self.clip,
            keep_optimizer=self.keep_optimizer,
            bf16=self.bf16,
        )

    def build(self, classes: int, seed: int) -> Network:
        """The network, initialised by the seed alone."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(Draw(("network", seed)).seed)
            network = build_network(self.network, self.channels, classes, **self.network_options)
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        return network

    def augmentation(self) -> Augmentation | None:
        """Random variations of the training tiles."""
        if self.augment is None:
            return None
        known = [f.name for f in fields(Augmentation)]
        for name in self.augment:
            if name not in known:
                raise UsageError(f"augmentation has no {name!r}{nearest(name, known)}")
        try:
            return Augmentation(**self.augment)
        except TypeError as error:
            raise UsageError(f"recipe: augment {dict(self.augment)}: {error}") from error


_RULES: dict[str, tuple[Callable[[Any], bool], str]] = {
    **dict.fromkeys(("steps", "batch_size", "tile"), (lambda value: value >= 1, "1 or more")),
    "channels": (lambda value: value in (1, 3), "1 (grey) or 3 (colour)"),
    "overlap": (lambda value: 0 <= value < 1, "from 0 to below 1"),
    "optimizer": (lambda value: value in get_args(OptimizerName), f"one of {', '.join(get_args(OptimizerName))}"),
    "lr": (lambda value: 0 < value < math.inf, "above 0"),
    "weight_decay": (lambda value: 0 <= value < math.inf, "0 or more"),
    "schedule": (lambda value: value in ("constant", "cosine"), "constant or cosine"),
    "warmup": (lambda value: 0 <= value < 1, "from 0 to below 1"),
    "clip": (lambda value: value is None or 0 < value < math.inf, "above 0, or null for none"),
    "defect_share": (lambda value: 0 <= value <= 1, "from 0 to 1"),
    "most_tiles": (lambda value: value is None or value >= 1, "1 or more, or null for no limit"),
}


def _fits(value: Any, allowed: tuple[Any, ...], origin: Any) -> bool:
    """Whether a plain value is of a field's type: one of `allowed`, or a mapping."""
    if isinstance(value, Mapping) or origin is Mapping:
        wanted = origin is Mapping or any(get_origin(kind) is Mapping for kind in allowed)
        return wanted and isinstance(value, Mapping) and all(isinstance(key, str) for key in value)
    if value is None or isinstance(value, bool):
        return type(value) in allowed
    return type(value) in allowed or (isinstance(value, int) and float in allowed)
