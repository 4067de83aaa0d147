"""Trainers: one network each, taken through tasks a few steps at a time, so that timings can be interleaved.

Every trainer gets the same network, optimizer and batches. What is timed is the step; data lie ready in memory, but for
the trainers that say that they load them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Optimizer

from seamwise.continual import (
    Classification,
    Experience,
    Finetuning,
    Learner,
    OnlineEWC,
    Progress,
    Step,
    Strategy,
    SynapticIntelligence,
    TensorDataset,
    Training,
)

Method = Literal["finetuning", "si", "ewc"]
METHODS: tuple[Method, ...] = ("finetuning", "si", "ewc")
ENDLESS = 10**9


@dataclass(frozen=True)
class Setup:
    """What a trainer is built from. batches: one (x, y) a task. steps: how many are run at a time. c, xi: Eq. 4, 5."""

    method: Method
    model: nn.Module
    optimizer: Optimizer
    batches: tuple[tuple[Tensor, Tensor], ...]
    steps: int = 1
    c: float = 0.1
    xi: float = 1e-3

    def samples(self, task: int) -> tuple[Tensor, Tensor]:
        """A task's data for trainers that load them: its batch so often that one pass makes `steps` steps."""
        x, y = self.batches[task]
        return x.repeat(self.steps, 1), y.repeat(self.steps)


class Trainer:
    """One library at work: tasks one after another, each some steps at a time."""

    def __init__(self, setup: Setup) -> None:
        self.setup, self.model, self.optimizer, self.steps = setup, setup.model, setup.optimizer, setup.steps
        self.task = -1
        self.batch = setup.batches[0]  # what the next steps train on

    def next_task(self) -> None:
        """Ends the present task, if there is one, and begins the next."""
        if self.task >= 0:
            self.end()
        self.task += 1
        self.batch = self.setup.batches[self.task]
        self.begin()

    def begin(self) -> None:
        """The task `self.task` begins."""

    def end(self) -> None:
        """The task `self.task` is over."""

    def run(self, steps: int) -> None:
        raise NotImplementedError

    def importances(self) -> list[Tensor]:
        """Omega of Eq. 5, parameter by parameter (SI only)."""
        raise NotImplementedError

    def path(self) -> list[Tensor]:
        """w of Eq. 3 in the present task, parameter by parameter (SI only)."""
        raise NotImplementedError


class Plain(Trainer):
    """A bare PyTorch loop, which all others are measured against."""

    def run(self, steps: int) -> None:
        x, y = self.batch
        for _ in range(steps):
            self.optimizer.zero_grad()
            F.cross_entropy(self.model(x), y).backward()  # type: ignore[no-untyped-call]
            self.optimizer.step()


class Seamwise(Trainer):
    """Our strategies in a loop of one's own."""

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        self.si = SynapticIntelligence(c=setup.c, xi=setup.xi)
        ewc = OnlineEWC(samples=8)
        self.strategy: Strategy = {"finetuning": Finetuning(), "si": self.si, "ewc": ewc}[setup.method]

    def begin(self) -> None:
        self.strategy.begin(self.model)

    def end(self) -> None:
        experience = Experience(self.task, str(self.task), TensorDataset(*self.batch))
        self.strategy.consolidate(self.model, Classification(), experience)

    def run(self, steps: int) -> None:
        x, y = self.batch
        step = Step(self.model)
        for _ in range(steps):
            self.optimizer.zero_grad()
            F.cross_entropy(self.model(x), y).backward()  # type: ignore[no-untyped-call]
            self.strategy.observe(step)
            self.strategy.adjust(step)
            self.optimizer.step()
            self.strategy.after_step(step)

    def importances(self) -> list[Tensor]:
        return self.si.bound["importance"]

    def path(self) -> list[Tensor]:
        return self.si.bound["path"]


class SeamwiseLearner(Seamwise):
    """Our `Learner`, which draws its batches from the data (and builds its own, fused optimizer)."""

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        data = [TensorDataset(*setup.samples(task)) for task in range(len(setup.batches))]
        self.stream = [Experience(task, str(task), part) for task, part in enumerate(data)]
        training = Training(batch_size=len(setup.batches[0][0]), steps=setup.steps)
        self.learner = Learner(self.model, self.strategy, Classification(), training)
        self.progress: Iterator[Progress] = iter(())

    def begin(self) -> None:
        self.progress = self.learner.fit(self.stream[: self.task + 1])

    def end(self) -> None:
        for _ in self.progress:
            pass
        self.learner.training = replace(self.learner.training, steps=ENDLESS)

    def run(self, steps: int) -> None:
        for _ in range(steps):
            next(self.progress)
