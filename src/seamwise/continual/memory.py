"""A bounded memory of raw samples."""

from __future__ import annotations

from collections import Counter
from typing import Any, Literal

import torch
from torch import Tensor

from seamwise.continual.batch import Batch
from seamwise.continual.draw import Draw

Policy = Literal["balanced", "reservoir"]
IGNORE = 255  # no class in 8-bit masks


class Memory:
    """Keeps at most `capacity` samples of all that are offered.

    policy "reservoir": every sample ever offered is kept with the same probability (Vitter 1985, algorithm R).
    "balanced": groups (task and class; for masks task and the rarest class in it) share the places alike, each a
    reservoir of its own; a group that is too small leaves its places to the others (after Chrysakis and Moens 2020).
    Where there are more groups than places, every group seen has a place with the same probability.
    """

    def __init__(self, capacity: int, policy: Policy = "balanced") -> None:
        if capacity < 1:
            raise ValueError(f"a memory needs room for at least one sample, not {capacity}")
        self.capacity, self.policy = capacity, policy
        self.kept: Batch | None = None  # rows beyond `size` are empty places
        self.group = torch.zeros(capacity, 2, dtype=torch.int64)
        self.size = 0
        self.seen: dict[tuple[int, int], int] = {}

    def __len__(self) -> int:
        return self.size

    def offer(self, batch: Batch, draw: Draw) -> None:
        """Shows the samples to the memory one by one; `draw` must be a new one for each call."""
        generator = draw.generator()
        groups = self._groups(batch)
        for row in range(len(batch)):
            place = self._place(groups[row], generator)
            if place is not None:
                self._store(place, batch, row)
                self.group[place] = torch.tensor(groups[row])

    def sample(self, count: int, draw: Draw) -> Batch | None:
        """`count` different samples (all, if there are fewer), each equally likely; None from an empty memory."""
        if self.kept is None or self.size == 0:
            return None
        return self.kept.rows(torch.randperm(self.size, generator=draw.generator())[:count])

    def _groups(self, batch: Batch) -> list[tuple[int, int]]:
        if self.policy == "reservoir":
            return [(0, 0)] * len(batch)
        if batch.y.ndim == 1:
            return list(zip(batch.task.tolist(), batch.y.tolist(), strict=True))
        return [(int(task), _rarest(mask)) for task, mask in zip(batch.task, batch.y, strict=True)]

    def _place(self, group: tuple[int, int], generator: torch.Generator) -> int | None:
        """Where the next sample of the group goes; None: it is let go."""
        unseen = group not in self.seen
        self.seen[group] = self.seen.get(group, 0) + 1
        if self.size < self.capacity:
            self.size += 1
            return self.size - 1
        own = (self.group == torch.tensor(group)).all(1).nonzero().flatten()
        counts = self._counts()
        largest = max(counts.values())
        if largest == 1 and not len(own):  # a reservoir of groups: each is offered once, by its first sample
            pick = int(torch.randint(len(self.seen), (1,), generator=generator))
            return pick if unseen and pick < self.capacity else None
        # Takes a place from a fullest group only where that evens out the shares: groups that differ by one would
        # otherwise take turns and keep their newest samples alone.
        if len(own) + 1 < largest or not len(own):
            fullest = min(g for g, n in counts.items() if n == largest)
            theirs = (self.group == torch.tensor(fullest)).all(1).nonzero().flatten()
            return int(theirs[torch.randint(len(theirs), (1,), generator=generator)])
        pick = int(torch.randint(self.seen[group], (1,), generator=generator))
        return int(own[pick]) if pick < len(own) else None

    def _counts(self) -> dict[tuple[int, int], int]:
        return Counter((a, b) for a, b in self.group[: self.size].tolist())

    def _store(self, place: int, batch: Batch, row: int) -> None:
        if self.kept is None:
            x, y, task, index, weight = (t.new_zeros((self.capacity, *t.shape[1:])).cpu() for t in _columns(batch))
            self.kept = Batch(x, y, task, index, weight)
        for mine, theirs in zip(_columns(self.kept), _columns(batch), strict=True):
            if mine.shape[1:] != theirs.shape[1:] or mine.dtype != theirs.dtype:
                raise ValueError(
                    f"the memory holds samples of shape {tuple(mine.shape[1:])} and type {mine.dtype}, "
                    f"this one has {tuple(theirs.shape[1:])} and {theirs.dtype}"
                )
            mine[place] = theirs[row]

    def state_dict(self) -> dict[str, Any]:
        state: dict[str, Any] = {"seen": [[*group, count] for group, count in self.seen.items()]}
        if self.kept is not None:
            names = ("x", "y", "task", "index", "weight")
            state |= {n: t[: self.size].clone() for n, t in zip(names, _columns(self.kept), strict=True)}
            state["group"] = self.group[: self.size].clone()
        return state

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.__init__(self.capacity, self.policy)  # type: ignore[misc]
        self.seen = {(int(a), int(b)): int(n) for a, b, n in state["seen"]}
        if "x" in state:
            rows = Batch(*(state[name] for name in ("x", "y", "task", "index", "weight")))
            if len(rows) > self.capacity:
                raise ValueError(f"the saved memory holds {len(rows)} samples, this one has room for {self.capacity}")
            for row in range(len(rows)):
                self._store(row, rows, row)
            self.group[: len(rows)] = state["group"]
            self.size = len(rows)


def _columns(batch: Batch) -> tuple[Tensor, ...]:
    return batch.x, batch.y, batch.task, batch.index, batch.weight


def _rarest(mask: Tensor) -> int:
    """The class above background with the fewest pixels; 0 where there is none."""
    counts = torch.bincount(mask[(mask > 0) & (mask < IGNORE)])
    return min((int(n), k) for k, n in enumerate(counts.tolist()) if n)[1] if len(counts) else 0
