"""Small streams, networks and strategies that several tests share."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seamwise.continual import (
    Batch,
    Classification,
    ClassMask,
    Draw,
    Experience,
    Learner,
    Output,
    Phase,
    Step,
    Strategy,
    TensorDataset,
    build_strategy,
)
from seamwise.continual.features import with_features
from seamwise.continual.optimizers import optimizer_state

FEATURES, CLASSES = 6, 6
CLASS_SETS = {0: (0, 1), 1: (2, 3), 2: (4, 5)}

# Every strategy that goes through a stream, with settings under which its penalty or memory is felt.
STREAM_METHODS: dict[str, dict[str, Any]] = {
    "finetuning": {},
    "si": {"c": 1.0, "xi": 0.01},
    "ewc": {"strength": 20.0, "samples": 8, "decay": 0.9},
    "replay": {"capacity": 9, "share": 0.5},
    "frozen": {},
    "joint": {},
    "separate": {},
    "si+replay": {"c": 1.0, "xi": 0.01, "capacity": 9},
    "ewc+replay": {"strength": 20.0, "samples": 8, "capacity": 9, "policy": "reservoir", "online": True},
    "si+ewc": {"c": 1.0, "strength": 5.0, "samples": 4},
    "ewc-per-task": {"strength": 20.0, "samples": 8},
    "lwf": {"strength": 2.0},
    "lfl": {"strength": 0.5},
    "gem": {"capacity": 20, "samples": 6},
    "si+lwf": {"c": 1.0, "xi": 0.01},
    "replay+si+lfl": {"c": 1.0, "xi": 0.01, "capacity": 9, "strength": 0.5},
    "ewc-per-task+gem": {"strength": 20.0, "samples": 5, "capacity": 9},
}


def strategy_of(name: str) -> Strategy:
    """The strategy of that name with the settings above."""
    return build_strategy(name, STREAM_METHODS[name])


def mlp(seed: int = 0, dtype: torch.dtype = torch.float32, hidden: int = 8) -> nn.Module:
    """FEATURES -> hidden -> CLASSES with ReLU."""
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(FEATURES, hidden), nn.ReLU(), nn.Linear(hidden, CLASSES)).to(dtype)


class Recorded(TensorDataset):
    """Remembers which samples were asked for, in order."""

    def __init__(self, x: Tensor, y: Tensor, task: int, log: list[tuple[int, Tensor]]) -> None:
        super().__init__(x, y, task)
        self.log = log

    def batch(self, indices: Tensor, draw: Draw | None = None) -> Batch:
        self.log.append((self.task, indices.clone()))
        return super().batch(indices, draw)


def class_stream(
    samples: int = 40,
    dtype: torch.dtype = torch.float32,
    log: list[tuple[int, Tensor]] | None = None,
    noise: float = 0.7,
) -> list[Experience]:
    """Three experiences of two new classes each: noisy clusters, learned with one head each (see CLASS_SETS)."""
    generator = torch.Generator().manual_seed(5)
    centres = torch.randn(CLASSES, FEATURES, generator=generator)
    stream = []
    for task, classes in CLASS_SETS.items():
        y = torch.tensor(classes).repeat(samples)[:samples]
        x = (centres[y] + noise * torch.randn(samples, FEATURES, generator=generator)).to(dtype)
        data = Recorded(x, y, task, [] if log is None else log)
        stream.append(Experience(task, f"classes {classes}", data, classes))
    return stream


def heads() -> Classification:
    """The multi-head objective of `class_stream`."""
    return Classification(CLASS_SETS)


class Pixels:
    """Cross-entropy over masks: a sample's loss is the mean over its valid pixels."""

    def __init__(self, ignore: int | None = None) -> None:
        self.mask, self.ignore = ClassMask(), ignore

    def forward(self, model: nn.Module, batch: Batch, features: bool = False) -> Output:
        raw, hidden = with_features(model, batch.x) if features else (model(batch.x), None)
        return Output(self.mask(raw, batch.task), hidden, raw)

    def loss(self, output: Output, batch: Batch) -> Tensor:
        ignore = -100 if self.ignore is None else self.ignore
        pixels = F.cross_entropy(output.logits, batch.y, reduction="none", ignore_index=ignore).flatten(1)
        valid = (batch.y != ignore).flatten(1).sum(1)
        return pixels.sum(1) / valid.clamp(min=1)


class Point(nn.Module):
    """A model that is nothing but its parameters."""

    def __init__(self, start: Sequence[float]) -> None:
        super().__init__()
        self.theta = nn.Parameter(torch.tensor(start, dtype=torch.float64))


class TinyUNet(nn.Module):
    """One level down and up again, a skip connection, both kinds of normalisation, and dropout."""

    def __init__(self, channels: int = 2, classes: int = 3) -> None:
        super().__init__()
        self.down = nn.Conv2d(channels, 4, 3, padding=1)
        self.norm = nn.GroupNorm(2, 4)
        self.deep = nn.Conv2d(4, 6, 3, padding=1)
        self.batchnorm = nn.BatchNorm2d(6)
        self.drop = nn.Dropout2d(0.25)
        self.up = nn.ConvTranspose2d(6, 4, 2, stride=2)
        self.head = nn.Conv2d(8, classes, 1)

    def hidden(self, x: Tensor) -> Tensor:
        skip = F.relu(self.norm(self.down(x)))
        deep = self.drop(F.relu(self.batchnorm(self.deep(F.max_pool2d(skip, 2)))))
        return torch.cat([skip, self.up(deep)], dim=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.hidden(x))


def tiny_unet(seed: int = 0) -> nn.Module:
    """In channels_last, the layout in which contiguous optimizer states go wrong silently."""
    torch.manual_seed(seed)
    return TinyUNet().to(memory_format=torch.channels_last)


def mask_stream(samples: int = 7) -> list[Experience]:
    """Two experiences of 8x8 pictures whose masks follow the sign of a channel."""
    generator = torch.Generator().manual_seed(6)
    stream = []
    for task in range(2):
        x = torch.randn(samples, 2, 8, 8, generator=generator)
        y = (x[:, task] > 0).long() + (x[:, task] > 1).long()
        stream.append(Experience(task, f"site {task}", TensorDataset(x, y, task)))
    return stream


class SmallerWeights(Strategy):
    """Adds an extra term to the loss that reaches every parameter, also those the task's loss does not reach."""

    def __init__(self, factor: float = 0.1) -> None:
        self.factor = factor

    def extra_loss(self, step: Step) -> Tensor:
        return self.factor * sum(p.square().sum() for p in step.model.parameters())


class ThreePhases(Strategy):
    """A warm-up, the learner's own number of steps, and one last step."""

    def phases(self, experience: Experience) -> Sequence[Phase]:
        return Phase("warm-up", 2), Phase(), Phase("last", 1)


def flip(batch: Batch, draw: Draw) -> Batch:
    """An augmentation that draws: mirrors some samples and adds noise."""
    generator = draw.generator()
    mirrored = (torch.rand(len(batch), generator=generator) < 0.5).view(-1, *(1 for _ in batch.x.shape[1:]))
    x = torch.where(mirrored, batch.x.flip(-1), batch.x)
    y = torch.where(mirrored.view(-1, 1, 1), batch.y.flip(-1), batch.y) if batch.y.ndim == 3 else batch.y
    return batch.with_inputs(x + 0.05 * torch.randn(x.shape, generator=generator), y)


def learn(learner: Learner, stream: Sequence[Experience], events: int | None = None) -> int:
    """Takes a learner through the stream, or through some events of it; returns how many there were."""
    taken = 0
    if events == 0:
        return 0
    for taken, _ in enumerate(learner.fit(stream), 1):
        if taken == events:
            break
    return taken


def through_disk(state: Any) -> Any:
    """What comes back from a file: contiguous tensors with memory of their own, and what JSON can say."""
    if isinstance(state, Tensor):
        return state.detach().clone(memory_format=torch.contiguous_format)
    if isinstance(state, dict):
        return {name: through_disk(value) for name, value in state.items()}
    return json.loads(json.dumps(state))


def everything(learner: Learner) -> dict[str, Any]:
    """All numbers of a run: weights, strategy and optimizer, by name."""
    optimizer = {} if learner.optimizer is None else optimizer_state(learner.optimizer, learner.model)
    groups = {"model": learner.model.state_dict(), "strategy": learner.strategy.state_dict(), "optimizer": optimizer}
    return {f"{group} {name}": value for group, values in groups.items() for name, value in values.items()}


def assert_identical(ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    """Equal to the last bit, entry for entry."""
    assert ours.keys() == theirs.keys()
    for name, value in ours.items():
        if isinstance(value, Tensor):
            assert value.dtype == theirs[name].dtype, name
            assert torch.equal(value, theirs[name]), name
        else:
            assert value == theirs[name], name
