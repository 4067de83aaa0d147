"""Synaptic Intelligence (Zenke, Poole, Ganguli, ICML 2017): each parameter measures along its way how much it lowered
the loss, and is later pulled back in proportion.

    paper     here          meaning
    g         gradients     gradient of the task loss alone, without the pull
    w         path          running sum of -g * (step of the parameter)
    Omega     importance    gathered over all earlier experiences
    theta~    reference     parameters at the end of the last experience
    Delta     displacement  parameter - reference

Kept between steps are path, importance and reference; displacement and spare are scratch, made anew after a resume.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor, nn

from seamwise.continual.batch import Step
from seamwise.continual.objective import Objective
from seamwise.continual.strategy import State, Strategy
from seamwise.continual.stream import Experience
from seamwise.continual.tensors import Bound, Seen, Tensors, addcmul, subtract


@dataclass(eq=False)
class SynapticIntelligence(Strategy):
    """Remembers by importances measured online; stores no data.

    c: strength of the pull, old memories against new (Eq. 4; 1 weighs them alike where the integral is exact).
    xi: bounds the importance of parameters that hardly moved (Eq. 5); paper: 1e-3, permuted MNIST .1.
    clamp: where negative importance is cut: of the sum ("accumulated", authors' code), of each experience's share
    ("experience", CapyMOA) or nowhere ("none", the printed Eq. 5).
    first_reference: the first displacement counts from the "start" (Eq. 5) or from "zero" (authors, permuted MNIST).
    pull: "explicit" adds 2 c Omega (p - reference) to the gradient; "proximal" solves the pull exactly after the step,
    with the step's learning rate (`Step.lr`), stable however large c is.
    copy_gradient: keep a copy of the task gradient, for loops that change `p.grad` in place (clipping, Nesterov).
    """

    c: float = 0.1
    xi: float = 1e-3
    clamp: Literal["accumulated", "experience", "none"] = "accumulated"
    first_reference: Literal["start", "zero"] = "start"
    pull: Literal["explicit", "proximal"] = "explicit"
    copy_gradient: bool = False
    experiences: int = field(default=0, init=False)  # consolidated so far
    bound: Bound = field(default_factory=lambda: Bound("path", "importance", "reference"), init=False)
    displacement: Tensors = field(default_factory=list, init=False)
    spare: Tensors = field(default_factory=list, init=False)  # the pulled gradient, then the next displacement
    seen: Seen = field(default_factory=Seen, init=False)  # the task's gradients

    def __post_init__(self) -> None:
        if not (self.c >= 0 and self.xi > 0):
            raise ValueError(f"c must be >= 0 and xi > 0, not c={self.c}, xi={self.xi}")
        self.check_choices()

    @torch.no_grad()
    def begin(self, model: nn.Module, experience: Experience | None = None) -> None:
        self.bound.attach(model)
        if self.experiences or self.first_reference == "start":
            torch._foreach_copy_(self.bound["reference"], self.bound.parameters)  # theta~ <- theta
        torch._foreach_zero_(self.bound["path"])
        self._measure()

    def observe(self, step: Step) -> None:
        self.line_up(step.model)
        self.seen.look(self.bound.parameters, self.copy_gradient)

    @torch.no_grad()
    def adjust(self, step: Step) -> None:
        if not self.seen.fresh:  # a loop of one's own need not call observe, and may have skipped the step before
            self.observe(step)
        self.seen.fresh = False
        if self.c == 0 or self.experiences == 0 or self.pull == "proximal":
            return
        p, omega, away, spare, g = self._moving(self.bound["importance"], self.displacement, self.spare)
        for parameter, pulled in zip(p, addcmul(g, omega, away, 2 * self.c, spare), strict=True):  # Eq. 4
            parameter.grad = pulled  # replaced, so that `seen` keeps the task's

    @torch.no_grad()
    def after_step(self, step: Step) -> None:
        self.seen.check(self.bound.parameters, "SynapticIntelligence(copy_gradient=True)")
        if self.pull == "proximal" and self.c and self.experiences:
            self._shrink(step.lr)
        for p, g in zip(self.bound.parameters, self.seen.gradients, strict=True):
            p.grad = g  # the pulled one lies in the spare buffer, which is written next
        before = self.displacement
        self.displacement = subtract(self.bound.parameters, self.bound["reference"], self.spare)
        torch._foreach_sub_(before, self.displacement)  # theta(t) - theta(t+1)
        _, path, steps, gradients = self._moving(self.bound["path"], before)
        if gradients:
            torch._foreach_addcmul_(path, gradients, steps)  # Eq. 3
        self.spare = before
        self.seen.clear()

    @torch.no_grad()
    def consolidate(
        self, model: nn.Module, objective: Objective | None = None, experience: Experience | None = None
    ) -> None:
        self.line_up(model)
        for p, w, omega, reference in self.bound:
            share = w / ((p - reference).square() + self.xi)  # Eq. 5
            omega += share.relu_() if self.clamp == "experience" else share
            if self.clamp == "accumulated":
                omega.relu_()
            reference.copy_(p)  # theta~ <- theta
            w.zero_()
        self._measure()
        self.experiences += 1

    def state_dict(self) -> State:
        return {"experiences": self.experiences, **self.bound.state_dict()}

    def load_state_dict(self, state: State) -> None:
        self.experiences = int(state["experiences"])
        self.bound.load_state_dict({name: value for name, value in state.items() if name != "experiences"})

    @property
    def stiffness(self) -> float:
        largest = max((float(omega.max()) for omega in self.bound["importance"]), default=0.0)
        return 0.0 if self.pull == "proximal" else 2 * self.c * largest

    def line_up(self, model: nn.Module) -> None:
        """Begins if nobody did, and lines up again after a resume or when the model was replaced."""
        if not self.bound.known:
            self.begin(model)
        elif self.bound.model() is not model:
            self.bound.attach(model)
            self._measure()

    def _measure(self) -> None:
        self.displacement = torch._foreach_sub(self.bound.parameters, self.bound["reference"])
        self.spare = [torch.empty_like(d) for d in self.displacement]
        self.seen.clear()

    def _moving(self, *lists: Tensors) -> list[list[Tensor]]:
        """Parameters, lists and gradients without the parameters that have no gradient (None stays None)."""
        rows = [(p, *row, p.grad) for p, *row in zip(self.bound.parameters, *lists, strict=True) if p.grad is not None]
        return [list(column) for column in zip(*rows, strict=True)] or [[] for _ in (None, *lists, None)]

    def _shrink(self, lr: float | None) -> None:
        if lr is None:
            raise ValueError("the proximal pull needs the learning rate: pass Step(model, lr=...)")
        for p, _, omega, reference in self.bound:
            if p.grad is not None:
                p.copy_(reference + (p - reference) / (1 + 2 * lr * self.c * omega.relu()))
