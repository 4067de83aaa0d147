"""A bounded memory of raw samples."""

from __future__ import annotations

from bisect import bisect_left, insort
from typing import Any, Literal

import torch
from torch import Tensor

from seamwise.continual.batch import Batch
from seamwise.continual.draw import Draw

Policy = Literal["balanced", "reservoir"]


class Memory:
    """Keeps at most `capacity` samples of all that are offered.

    policy "reservoir": every sample ever offered is kept with the same probability (Vitter 1985, algorithm R).
    "balanced": groups (task and class; for masks task and the rarest class in it) share the places alike, each a
    reservoir of its own; a group that is too small leaves its places to the others (after Chrysakis and Moens 2020).
    Where there are more groups than places, every group seen has a place with the same probability. ignore: the value
    of a mask's pixels without a label, set before the first offer; it is no class.
    """

    def __init__(self, capacity: int, policy: Policy = "balanced") -> None:
        if capacity < 1:
            raise ValueError(f"a memory needs room for at least one sample, not {capacity}")
        self.capacity, self.policy = capacity, policy
        self.ignore: int | None = None
        self.kept: Batch | None = None  # its rows beyond the length are empty places
        self.group: list[tuple[int, int]] = []  # of each place that is taken
        self.places: dict[tuple[int, int], list[int]] = {}  # of each group, ascending
        self.seen: dict[tuple[int, int], int] = {}

    def __len__(self) -> int:
        return len(self.group)

    def offer(self, batch: Batch, draw: Draw) -> None:
        """Shows the samples to the memory one by one; `draw` must be a new one for each call."""
        generator = draw.generator()
        groups = self._groups(batch)
        for row in range(len(batch)):
            place = self._place(groups[row], generator)
            if place is not None:
                self._store(place, batch, row)
                self._take(place, groups[row])

    def sample(self, count: int, draw: Draw) -> Batch | None:
        """`count` different samples (all, if there are fewer), each equally likely; None from an empty memory."""
        if self.kept is None or not self.group:
            return None
        return self.kept.rows(torch.randperm(len(self), generator=draw.generator())[:count])

    def _groups(self, batch: Batch) -> list[tuple[int, int]]:
        if self.policy == "reservoir":
            return [(0, 0)] * len(batch)
        if batch.y.ndim == 1:
            return list(zip(batch.task.tolist(), batch.y.tolist(), strict=True))
        return [(int(task), _rarest(mask, self.ignore)) for task, mask in zip(batch.task, batch.y, strict=True)]

    def _place(self, group: tuple[int, int], generator: torch.Generator) -> int | None:
        """Where the next sample of the group goes; None: it is let go."""
        unseen = group not in self.seen
        self.seen[group] = self.seen.get(group, 0) + 1
        if len(self) < self.capacity:
            return len(self)
        own = self.places.get(group, [])
        largest = max(map(len, self.places.values()))
        if largest == 1 and not own:  # a reservoir of groups: each is offered once, by its first sample
            pick = int(torch.randint(len(self.seen), (1,), generator=generator))
            return pick if unseen and pick < self.capacity else None
        # Takes a place from a fullest group only where that evens out the shares: groups that differ by one would
        # otherwise take turns and keep their newest samples alone.
        if len(own) + 1 < largest or not own:
            theirs = self.places[min(g for g, places in self.places.items() if len(places) == largest)]
            return theirs[int(torch.randint(len(theirs), (1,), generator=generator))]
        pick = int(torch.randint(self.seen[group], (1,), generator=generator))
        return own[pick] if pick < len(own) else None

    def _take(self, place: int, group: tuple[int, int]) -> None:
        """Notes that a place is a group's now, and no longer another's."""
        if place < len(self.group):
            if self.group[place] == group:
                return
            theirs = self.places[self.group[place]]
            del theirs[bisect_left(theirs, place)]
            if not theirs:
                del self.places[self.group[place]]
            self.group[place] = group
        else:
            self.group.append(group)
        insort(self.places.setdefault(group, []), place)

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
            state |= {n: t[: len(self)].clone() for n, t in zip(names, _columns(self.kept), strict=True)}
            state["group"] = torch.tensor(self.group, dtype=torch.int64).view(-1, 2)
        return state

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.__init__(self.capacity, self.policy)  # type: ignore[misc]
        self.seen = {(int(a), int(b)): int(n) for a, b, n in state["seen"]}
        if "x" in state:
            rows = Batch(*(state[name] for name in ("x", "y", "task", "index", "weight")))
            if len(rows) > self.capacity:
                raise ValueError(f"the saved memory holds {len(rows)} samples, this one has room for {self.capacity}")
            for row, group in enumerate(state["group"].tolist()):
                self._store(row, rows, row)
                self._take(row, (group[0], group[1]))


def _columns(batch: Batch) -> tuple[Tensor, ...]:
    return batch.x, batch.y, batch.task, batch.index, batch.weight


def _rarest(mask: Tensor, ignore: int | None) -> int:
    """The class above background with the fewest pixels; 0 where there is none."""
    defects = mask[mask > 0]
    counts = torch.bincount(defects if ignore is None else defects[defects != ignore])
    return min((int(n), k) for k, n in enumerate(counts.tolist()) if n)[1] if len(counts) else 0
