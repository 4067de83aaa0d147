"""A stream: the experiences (tasks, domains, batches of new classes) a model meets one after another."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from seamwise.continual.batch import Batch
from seamwise.continual.draw import Draw

Augment = Callable[[Batch, Draw], Batch]


@runtime_checkable
class Dataset(Protocol):
    """Numbered samples that come as raw batches.

    `batch` may draw (where to cut a tile, say) but only from `draw`, so that the same numbers under the same key are
    always the same samples.
    """

    def __len__(self) -> int: ...

    def batch(self, indices: Tensor, draw: Draw) -> Batch: ...


class TensorDataset:
    """Samples that lie in two tensors: x (N, ...) and y (N, ...); the fastest data set for what fits in memory."""

    def __init__(self, x: Tensor, y: Tensor, task: int = 0) -> None:
        if x.shape[0] != y.shape[0]:
            raise ValueError(f"{x.shape[0]} inputs but {y.shape[0]} targets")
        self.x, self.y, self.task = x, y, task

    def __len__(self) -> int:
        return self.x.shape[0]

    def batch(self, indices: Tensor, draw: Draw | None = None) -> Batch:
        return Batch.of(self.x[indices], self.y[indices], self.task, indices)


@dataclass(frozen=True)
class Experience:
    """One stop of the stream.

    index: its place, from 0. train: what it is learned from. classes: the class ids it brings (empty: all).
    task: the head or class set its samples use; by default its index.
    """

    index: int
    name: str
    train: Dataset
    classes: tuple[int, ...] = ()
    task: int | None = None

    @property
    def task_id(self) -> int:
        return self.index if self.task is None else self.task


Stream = Sequence[Experience]


class Concatenation:
    """Several data sets as one: what joint training learns from. Each row keeps its own task."""

    def __init__(self, parts: Sequence[Dataset]) -> None:
        self.parts = list(parts)
        lengths = torch.tensor([0, *(len(part) for part in self.parts)])
        self.starts = lengths.cumsum(0)

    def __len__(self) -> int:
        return int(self.starts[-1])

    def batch(self, indices: Tensor, draw: Draw) -> Batch:
        part = torch.bucketize(indices, self.starts, right=True) - 1
        return self._gather(indices, part, indices - self.starts[part], torch.zeros_like(indices), draw)

    def _gather(self, indices: Tensor, part: Tensor, row: Tensor, turn: Tensor, draw: Draw) -> Batch:
        """Rows of several parts in the order asked for; the same row comes with other draws at another turn."""
        sources = list(zip(part.tolist(), turn.tolist(), strict=True))
        places, batches = [], []
        for source in sorted(set(sources)):
            places.append(torch.tensor([place for place, own in enumerate(sources) if own == source]))
            batches.append(self.parts[source[0]].batch(row[places[-1]], draw.of("part", *source)))
        merged = concatenate(batches).rows(torch.cat(places).argsort())
        weight = torch.full((len(indices),), 1.0 / len(indices))
        return Batch(merged.x, merged.y, merged.task, indices.clone(), weight)


class Balanced(Concatenation):
    """Several data sets in equal shares: the shorter ones come round again until the longest is through."""

    def __len__(self) -> int:
        return len(self.parts) * max(len(part) for part in self.parts)

    def batch(self, indices: Tensor, draw: Draw) -> Batch:
        part, row = indices % len(self.parts), indices // len(self.parts)
        length = self.starts.diff()[part]
        return self._gather(indices, part, row % length, row // length, draw)


def concatenate(batches: Sequence[Batch]) -> Batch:
    """Batches one below another; only the `extra` rows that all of them carry are kept."""
    names = set.intersection(*(set(batch.extra) for batch in batches))
    return Batch(
        torch.cat([batch.x for batch in batches]),
        torch.cat([batch.y for batch in batches]),
        torch.cat([batch.task for batch in batches]),
        torch.cat([batch.index for batch in batches]),
        torch.cat([batch.weight for batch in batches]),
        {name: torch.cat([batch.extra[name] for batch in batches]) for name in sorted(names)},
    )
