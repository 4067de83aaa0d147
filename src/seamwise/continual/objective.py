"""What is minimised: the one place that knows heads, class masks, the ignore index and how losses are reduced."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seamwise.continual.batch import Batch, Output
from seamwise.continual.features import with_features

# Large enough to give a probability of exactly zero, small enough to stay finite (float16 alone cannot hold it).
FORBIDDEN = -1e9


def at_least_float32(logits: Tensor) -> Tensor:
    """Half precision made whole before a softmax; float64 stays what it is."""
    return logits.float() if logits.element_size() < 4 else logits


class ClassMask:
    """Which classes each task may answer. class_sets: task -> class ids; tasks not named may answer all."""

    def __init__(self, class_sets: Mapping[int, Sequence[int]] | None = None) -> None:
        self.class_sets = {task: tuple(ids) for task, ids in (class_sets or {}).items() if ids}
        self._table: Tensor | None = None

    def __call__(self, logits: Tensor, task: Tensor) -> Tensor:
        """logits (N, K, ...) with the classes of other tasks put out of reach."""
        if not self.class_sets:
            return logits
        table = self._allowed(logits.shape[1], logits.device)
        allowed = table[task.clamp(max=len(table) - 1)]
        allowed = allowed.view(*allowed.shape, *(1 for _ in logits.shape[2:]))
        return logits.masked_fill(~allowed, FORBIDDEN)

    def _allowed(self, classes: int, device: torch.device) -> Tensor:
        if self._table is None or self._table.shape[1] != classes or self._table.device != device:
            table = torch.ones(max(self.class_sets) + 2, classes, dtype=torch.bool)  # the last: every later task
            for task, ids in self.class_sets.items():
                table[task] = False
                table[task, list(ids)] = True
            self._table = table.to(device)
        return self._table


class Objective(Protocol):
    """Turns a model and a batch into per-sample losses.

    mask: which classes each task may answer; `mask(output.raw, task)` is the answer as another task would give it.
    ignore: the target value without a loss.
    """

    mask: ClassMask
    ignore: int | None

    def forward(self, model: nn.Module, batch: Batch, features: bool = False) -> Output:
        """The model's answer, raw and with the classes masked that the samples' tasks do not have.

        features: show the last hidden activations too.
        """
        ...

    def loss(self, output: Output, batch: Batch) -> Tensor:
        """(N,) one loss a sample; a sample's own reduction is the mean over its valid targets."""
        ...


class Classification:
    """Cross-entropy over class ids; with class_sets a multi-head network (a softmax masked to the task's classes)."""

    def __init__(self, class_sets: Mapping[int, Sequence[int]] | None = None, ignore: int | None = None) -> None:
        self.mask = ClassMask(class_sets)
        self.ignore = ignore

    def forward(self, model: nn.Module, batch: Batch, features: bool = False) -> Output:
        raw, hidden = with_features(model, batch.x) if features else (model(batch.x), None)
        return Output(self.mask(raw, batch.task), hidden, raw)

    def loss(self, output: Output, batch: Batch) -> Tensor:
        ignore = -100 if self.ignore is None else self.ignore
        return F.cross_entropy(at_least_float32(output.logits), batch.y, reduction="none", ignore_index=ignore)
