"""Replay: remembered samples are learned again beside the new ones (Robins 1995; Chaudhry et al. 2019)."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import torch
from torch import nn

from seamwise.continual.batch import Batch, Step
from seamwise.continual.draw import Draw
from seamwise.continual.memory import Memory, Policy
from seamwise.continual.objective import Objective
from seamwise.continual.strategy import State, Strategy
from seamwise.continual.stream import Experience, concatenate


@dataclass(eq=False)
class Replay(Strategy):
    """Keeps a bounded number of raw samples and adds some of them to every batch.

    capacity: samples kept in all. policy: "balanced" shares the places among tasks and classes, "reservoir" among all
    samples ever seen. weight: total weight of the replayed samples; the current ones keep 1, so that the strength of
    another strategy in a chain keeps its meaning. share: replayed samples a batch as a part of the batch's size, one
    at least unless the share is 0.
    online: fill the memory from every batch as it comes instead of when an experience ends: for streams without
    boundaries that are seen once (with several epochs a sample is offered, and may be kept, once in each).
    """

    capacity: int = 500
    policy: Policy = "balanced"
    weight: float = 1.0
    share: float = 1.0
    online: bool = False
    steps: int = field(default=0, init=False)
    offers: int = field(default=0, init=False)
    memory: Memory = field(init=False)
    draw: Draw = field(default=Draw(("replay",)), init=False)
    fresh: Batch | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        if not (self.weight >= 0 and self.share >= 0):
            raise ValueError(f"weight and share must be >= 0, not {self.weight}, {self.share}")
        self.memory = Memory(self.capacity, self.policy)

    def seed(self, draw: Draw) -> None:
        self.draw = draw.of("replay")

    def extend(self, batch: Batch) -> Batch:
        self.steps += 1
        count = max(round(self.share * len(batch)), 1 if self.share > 0 else 0)
        old = self.memory.sample(count, self.draw.of("sample", self.steps))
        if self.online:
            self.fresh = batch
        if old is None or len(old) == 0:
            return batch
        weight = torch.full((len(old),), self.weight / len(old), dtype=batch.weight.dtype)
        return concatenate([batch, replace(old, weight=weight).to(batch.x.device)])

    def after_step(self, step: Step) -> None:
        if self.fresh is not None:
            self._offer(self.fresh, step.objective)
            self.fresh = None

    def consolidate(
        self, model: nn.Module, objective: Objective | None = None, experience: Experience | None = None
    ) -> None:
        if self.online:
            return
        if experience is None:
            raise ValueError("replay fills its memory from the experience's data: pass it, or use Replay(online=True)")
        draw = self.draw.of("data", experience.index)
        order = torch.randperm(len(experience.train), generator=draw.of("order").generator())
        for chunk in torch.split(order, 64):
            self._offer(experience.train.batch(chunk, draw), objective)

    def _offer(self, batch: Batch, objective: Objective | None) -> None:
        self.offers += 1
        self.memory.ignore = None if objective is None else objective.ignore
        self.memory.offer(batch, self.draw.of("offer", self.offers))

    def state_dict(self) -> State:
        memory = {f"memory.{name}": value for name, value in self.memory.state_dict().items()}
        return {"steps": self.steps, "offers": self.offers, **memory}

    def load_state_dict(self, state: State) -> None:
        self.steps, self.offers, self.fresh = int(state["steps"]), int(state["offers"]), None
        memory = {name.removeprefix("memory."): value for name, value in state.items() if name.startswith("memory.")}
        self.memory.load_state_dict(memory)
