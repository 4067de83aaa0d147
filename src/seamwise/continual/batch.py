"""The values that travel through a training step: a batch of samples, a network's output, and the step itself."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from seamwise.continual.objective import Objective
    from seamwise.continual.stream import Experience


@dataclass(frozen=True)
class Batch:
    """Samples with their targets; every tensor has one row a sample.

    x: (N, ...) inputs. y: (N,) class ids or (N, H, W) masks. task: (N,) int64, the experience whose classes the row
    uses, so that replay can mix experiences. index: (N,) int64, stable number of the sample within its data set.
    weight: (N,) float, weights of the per-sample losses in the batch's total. extra: further rows by name, such as
    stored logits.
    """

    x: Tensor
    y: Tensor
    task: Tensor
    index: Tensor
    weight: Tensor
    extra: dict[str, Tensor] = field(default_factory=dict)

    def __len__(self) -> int:
        return self.x.shape[0]

    @staticmethod
    def of(x: Tensor, y: Tensor, task: int = 0, index: Tensor | None = None) -> Batch:
        """A batch of one experience whose samples count alike and whose weights sum to one."""
        n = x.shape[0]
        return Batch(
            x=x,
            y=y,
            task=torch.full((n,), task, dtype=torch.int64, device=x.device),
            index=torch.arange(n, device=x.device) if index is None else index.to(x.device),
            weight=torch.full((n,), 1.0 / n, device=x.device),
        )

    def rows(self, keep: Tensor) -> Batch:
        """The chosen rows (indices or a mask), weights untouched."""
        return Batch(
            self.x[keep],
            self.y[keep],
            self.task[keep],
            self.index[keep],
            self.weight[keep],
            {name: value[keep] for name, value in self.extra.items()},
        )

    def to(self, device: torch.device | str) -> Batch:
        return Batch(
            self.x.to(device),
            self.y.to(device),
            self.task.to(device),
            self.index.to(device),
            self.weight.to(device),
            {name: value.to(device) for name, value in self.extra.items()},
        )

    def with_inputs(self, x: Tensor, y: Tensor) -> Batch:
        """The same samples after augmentation."""
        return replace(self, x=x, y=y)


@dataclass(frozen=True)
class Output:
    """What a network answers.

    logits: (N, classes, ...), those classes out of reach that the sample's task does not have. features: (N, F, ...)
    last hidden activations, where a method wants them. raw: the logits before the classes were masked.
    """

    logits: Tensor
    features: Tensor | None = None
    raw: Tensor | None = None


@dataclass(frozen=True)
class Step:
    """One optimizer step as every strategy moment sees it. In a loop of one's own only `model` is required."""

    model: nn.Module
    objective: Objective | None = None
    batch: Batch | None = None
    output: Output | None = None
    experience: Experience | None = None
    lr: float | None = None  # learning rate of the step, for proximal pulls
