"""Elastic Weight Consolidation (Kirkpatrick et al., PNAS 2017), and its online form (Schwarz et al., ICML 2018).

paper     here        meaning
lambda    strength    weight of the penalty  lambda/2 * F * (theta - theta*)^2
gamma     decay       how much of the older Fisher information is kept
F         fisher      exact diagonal Fisher information, summed over experiences
theta*    reference   parameters at the end of the last experience
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from seamwise.continual.batch import Step
from seamwise.continual.draw import Draw
from seamwise.continual.fisher import diagonal_fisher
from seamwise.continual.objective import Objective
from seamwise.continual.strategy import State, Strategy
from seamwise.continual.stream import Experience
from seamwise.continual.tensors import Bound


@torch.no_grad()
def pull(bound: Bound, model: nn.Module, strength: float) -> None:
    """Adds strength * fisher * (p - reference), the gradient of the penalty, to every gradient there is."""
    if bound.model() is not model:
        bound.attach(model)
    rows = [(p, f, r) for p, f, r in bound if p.grad is not None]
    params, fisher, reference = ([row[column] for row in rows] for column in range(3))
    away = torch._foreach_sub(params, reference)
    grads = [p.grad for p in params if p.grad is not None]
    pulled = torch._foreach_addcmul(grads, fisher, away, strength)
    for p, gradient in zip(params, pulled, strict=True):
        p.grad = gradient


@dataclass(eq=False)
class EWC(Strategy):
    """What all forms of Elastic Weight Consolidation share: Fisher information measured when an experience ends.

    strength: lambda. samples: how many training samples the Fisher information is averaged over (each exactly; None:
    all).
    """

    strength: float = 100.0
    samples: int | None = 256
    experiences: int = field(default=0, init=False)
    bound: Bound = field(default_factory=lambda: Bound("fisher", "reference"), init=False)
    draw: Draw = field(default=Draw(("ewc",)), init=False)

    def __post_init__(self) -> None:
        if not (self.strength >= 0 and (self.samples is None or self.samples >= 1)):
            raise ValueError(f"strength must be >= 0 and samples >= 1 or none, not {self.strength}, {self.samples}")

    @abstractmethod
    def join(self, p: Tensor, fresh: Tensor, fisher: Tensor, reference: Tensor) -> None:
        """Takes a parameter and its fresh Fisher information into what is kept of the older ones, in place."""

    def seed(self, draw: Draw) -> None:
        self.draw = draw.of("ewc")

    def begin(self, model: nn.Module, experience: Experience | None = None) -> None:
        if self.experiences:
            self.bound.attach(model)  # parts of it may have been replaced

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
                self.join(p, fresh[name], fisher, reference)
        self.experiences += 1

    def state_dict(self) -> State:
        return {"experiences": self.experiences, **self.bound.state_dict()}

    def load_state_dict(self, state: State) -> None:
        self.experiences = int(state["experiences"])
        self.bound.load_state_dict({name: value for name, value in state.items() if name != "experiences"})

    @property
    def stiffness(self) -> float:
        return self.strength * max((float(f.max()) for f in self.bound["fisher"]), default=0.0)


@dataclass(eq=False)
class OnlineEWC(EWC):
    """Pulls each parameter back to where the last experience left it, in proportion to its Fisher information.

    decay: gamma.
    """

    decay: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.decay <= 1:
            raise ValueError(f"decay must be in 0..1, not {self.decay}")

    def join(self, p: Tensor, fresh: Tensor, fisher: Tensor, reference: Tensor) -> None:
        fisher.mul_(self.decay).add_(fresh)
        reference.copy_(p)
