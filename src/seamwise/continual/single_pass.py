"""Synaptic Intelligence and Adam in one compiled pass over the parameters: each number is read and written once.

One after the other they move each parameter's memory many times; here a kernel compiled for the network reads the
gradient and the state of both, and writes them back. Needs a C++ compiler, which torch calls at the first step.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.optim import Adam

from seamwise.continual.si import SynapticIntelligence


def _update(rows: list[tuple[Tensor, ...]], strength: Tensor, betas: tuple[float, float], eps: float) -> None:
    """rows: see `SinglePass._row`."""
    for p, g, path, importance, reference, m, v, size, root in rows:
        pulled = g + strength * importance * (p - reference)  # Eq. 4
        first = betas[0] * m + (1 - betas[0]) * pulled
        second = betas[1] * v + (1 - betas[1]) * pulled * pulled
        step = size * first / (second.sqrt() / root + eps)
        path.add_(g * step)  # Eq. 3: the parameter moves by -step
        p.sub_(step)
        m.copy_(first)
        v.copy_(second)


class SinglePass:
    """Takes the place of `adjust`, the optimizer's step and `after_step`.

    State stays where the strategy and the optimizer keep it, so that what they save and load does not change. Raises
    ValueError for what the pass does not cover, and at the first step where there is no compiler.
    """

    def __init__(self, si: SynapticIntelligence, optimizer: Adam) -> None:
        groups = optimizer.param_groups
        other = any(groups[0].get(name) for name in ("weight_decay", "amsgrad", "maximize"))
        if si.pull != "explicit" or type(optimizer) is not Adam or len(groups) > 1 or other:
            raise ValueError(
                "the single pass is for the explicit pull with plain Adam: one group, no weight decay, AMSGrad or "
                "maximize"
            )
        self.si, self.optimizer, self.group = si, optimizer, groups[0]
        self.strength = torch.tensor(2 * si.c, dtype=torch.float64)
        self.compiled: Callable[..., None] = torch.compile(_update, dynamic=False)

    @torch.no_grad()
    def __call__(self, model: nn.Module) -> None:
        """One step with the gradients that the parameters have now; those without one stay as they are."""
        self.si.line_up(model)
        bound = self.si.bound
        if len(bound.parameters) != len(self.group["params"]):
            raise ValueError("the single pass moves what SI looks at: give the optimizer all trainable parameters")
        kinds = zip(bound.parameters, bound["path"], bound["importance"], bound["reference"], strict=True)
        rows = [self._row(p, *more) for p, *more in kinds if p.grad is not None]
        if rows:
            self._run(rows)
        self.si.seen.clear()  # they are free

    def _run(self, rows: list[tuple[Tensor, ...]]) -> None:
        try:
            self.compiled(rows, self.strength, self.group["betas"], self.group["eps"])
        except RuntimeError as error:
            if "C++ compiler" not in str(error):
                raise
            raise ValueError(
                "the single pass is compiled at its first step, and there is no working C++ compiler: install g++, "
                "or name one in CXX, or leave `compiled` out"
            ) from error

    def _row(self, p: Tensor, *more: Tensor) -> tuple[Tensor, ...]:
        """A parameter, its gradient, SI's tensors, Adam's, and as tensors what changes from step to step.

        (A new number would be compiled anew.) The last two: learning rate over the first moment's correction, and the
        root of the second's.
        """
        assert p.grad is not None
        state = self.optimizer.state[p]
        if not state:  # as torch begins it
            state["step"] = torch.zeros((), dtype=torch.float32)
            for name in ("exp_avg", "exp_avg_sq"):
                state[name] = torch.zeros_like(p, requires_grad=False)
        count = int(state["step"].add_(1))
        first, second = self.group["betas"]
        size = torch.tensor(self.group["lr"] / (1 - first**count), dtype=torch.float64)
        root = torch.tensor(math.sqrt(1 - second**count), dtype=torch.float64)
        return p.detach(), p.grad, *more, state["exp_avg"], state["exp_avg_sq"], size, root
