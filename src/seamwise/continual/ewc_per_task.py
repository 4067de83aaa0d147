"""Elastic Weight Consolidation as first published (Kirkpatrick et al., PNAS 2017): one penalty for each finished task.

paper       here         meaning
lambda      strength     weight of the penalties  sum_t lambda/2 * F_t * (theta - theta_t)^2  (Eq. 3)
F_t                      exact diagonal Fisher information of task t at its end
theta_t                  parameters at the end of task t

A sum of parabolas is one parabola up to a constant: with F = sum_t F_t and m = (sum_t F_t theta_t) / F its gradient
is lambda F (theta - m). So two tensors a parameter suffice, however many tasks there were:

here        meaning
fisher      F
reference   m, moved by F_t / F * (theta_t - m) when task t ends; where F = 0 nothing pulls, and it follows theta_t
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import nn

from seamwise.continual.batch import Step
from seamwise.continual.draw import Draw
from seamwise.continual.ewc import pull
from seamwise.continual.fisher import diagonal_fisher
from seamwise.continual.objective import Objective
from seamwise.continual.strategy import State, Strategy
from seamwise.continual.stream import Experience
from seamwise.continual.tensors import Bound


@dataclass(eq=False)
class PerTaskEWC(Strategy):
    """Pulls each parameter towards where every finished task left it, each in proportion to its Fisher information.

    (The online form pulls towards where the last task left it.) strength: lambda. samples: how many training samples
    the Fisher information is averaged over (each exactly; None: all).
    """

    strength: float = 100.0
    samples: int | None = 256
    experiences: int = field(default=0, init=False)
    bound: Bound = field(default_factory=lambda: Bound("fisher", "reference"), init=False)
    draw: Draw = field(default=Draw(("ewc",)), init=False)

    def __post_init__(self) -> None:
        if not self.strength >= 0:
            raise ValueError(f"strength must be >= 0, not {self.strength}")

    def seed(self, draw: Draw) -> None:
        self.draw = draw.of("ewc")

    def adjust(self, step: Step) -> None:
        if self.strength and self.experiences:
            pull(self.bound, step.model, self.strength)

    def consolidate(
        self, model: nn.Module, objective: Objective | None = None, experience: Experience | None = None
    ) -> None:
        if objective is None or experience is None:
            raise ValueError("EWC needs the experience's data to measure the Fisher information: pass both")
        draw = self.draw.of("fisher", self.experiences)
        fresh = diagonal_fisher(model, objective, experience.train, draw, self.samples)
        self.bound.attach(model)
        with torch.no_grad():
            for name, (p, fisher, reference) in zip(self.bound.names, self.bound, strict=True):
                fisher.add_(fresh[name])
                share = torch.where(fisher > 0, fresh[name] / fisher, 1.0)
                reference.lerp_(p, share)
        self.experiences += 1

    def state_dict(self) -> State:
        return {"experiences": self.experiences, **self.bound.state_dict()}

    def load_state_dict(self, state: State) -> None:
        self.experiences = int(state["experiences"])
        self.bound.load_state_dict({name: value for name, value in state.items() if name != "experiences"})

    @property
    def stiffness(self) -> float:
        return self.strength * max((float(f.max()) for f in self.bound["fisher"]), default=0.0)
