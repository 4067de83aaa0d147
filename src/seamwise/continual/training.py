"""How an experience is trained: batches, optimizer, learning rate, and what goes on from one experience to the next."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from seamwise.continual.optimizers import OptimizerName

Schedule = Literal["constant", "cosine"]
BatchNorm = Literal["update", "freeze"]


@dataclass(frozen=True)
class Training:
    """How every experience is trained.

    epochs: passes over the training data; steps, where given, counts optimizer steps instead. schedule: course of the
    learning rate within a phase; warmup: its first part, rising from zero, where that is a step or more. clip: largest
    gradient norm. keep_optimizer: the optimizer's moments go on from one experience to the next instead of starting
    afresh. keep_step_count: they start afresh but Adam's count of steps goes on, so that its correction of young
    moments is gone and the first steps of an experience are up to 6.6 times as long (SI's authors, in Keras). bf16:
    autocast, weights stay float32. batchnorm: "freeze" keeps BatchNorm statistics as the first experience left them.
    Raises ValueError for values that are not possible.
    """

    batch_size: int = 64
    epochs: int = 1
    steps: int | None = None
    optimizer: OptimizerName = "adam"
    lr: float = 1e-3
    weight_decay: float = 0.0
    momentum: float = 0.9
    fused: bool = True
    schedule: Schedule = "constant"
    warmup: float = 0.0
    clip: float | None = None
    keep_optimizer: bool = False
    bf16: bool = False
    batchnorm: BatchNorm = "update"
    keep_step_count: bool = False

    def __post_init__(self) -> None:
        rules: dict[str, bool] = {
            "batch_size": self.batch_size >= 1,
            "epochs": self.epochs >= 1,
            "steps": self.steps is None or self.steps >= 1,
            "optimizer": self.optimizer in get_args(OptimizerName),
            "lr": 0 <= self.lr < math.inf,
            "weight_decay": 0 <= self.weight_decay < math.inf,
            "momentum": 0 <= self.momentum < 1,
            "schedule": self.schedule in get_args(Schedule),
            "warmup": 0 <= self.warmup < 1,
            "clip": self.clip is None or 0 < self.clip < math.inf,
            "batchnorm": self.batchnorm in get_args(BatchNorm),
            "keep_step_count": not (self.keep_step_count and (self.keep_optimizer or self.optimizer == "sgd")),
        }
        wrong = [f"{name}={getattr(self, name)!r}" for name, right in rules.items() if not right]
        if wrong:
            raise ValueError(f"training: {', '.join(wrong)} is not possible")

    def values(self) -> dict[str, Any]:
        """As JSON values; without fields that came later, at values that change nothing."""
        values = asdict(self)
        if not self.keep_step_count:
            del values["keep_step_count"]
        return values

    def lr_at(self, step: int, steps: int) -> float:
        """Learning rate of a step (from 0) of a phase of so many."""
        fraction = step / steps
        if fraction < self.warmup and self.warmup * steps >= 1:  # a shorter one would spend its only step on nothing
            return self.lr * (fraction / self.warmup)
        if self.schedule == "constant":
            return self.lr
        rest = max(0.0, fraction - self.warmup) / (1 - self.warmup)
        return self.lr * 0.5 * (1 + math.cos(math.pi * rest))
