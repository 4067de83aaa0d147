"""Gradient Episodic Memory (Lopez-Paz and Ranzato, NeurIPS 2017): no step may harm the samples kept of earlier tasks.

paper       here        meaning
M_k         memory      samples of task k
g_k         old         rows (tasks, parameters): gradients of the losses on the memories
g           g           the gradient the optimizer would use
gamma       margin      smallest weight of each memory's gradient in a corrected step; favours the old tasks

Where <g, g_k> < 0 for some k, g is replaced by the nearest g~ with <g~, g_k> >= 0 for all k. The dual of that problem
has one unknown a task; with G the rows g_k, P = G G' and b = G g it is

    min_v 1/2 v'Pv + b'v  with v >= gamma,  and then  g~ = g + G'v.

As non-negative least squares: v = u + gamma makes it  min_u 1/2 u'Pu + c'u,  u >= 0,  with c = b + gamma P 1. Let Q, L
hold the eigenvectors and eigenvalues of P = Q L Q'. Then A = L^1/2 Q' and y = -L^-1/2 Q'c turn it into 1/2 |A u - y|^2
plus a constant, because c lies in the range of P. Directions whose eigenvalue is rounding alone are left out, so that
gradients that depend on one another need no ridge, which would bias the solution. The rows are brought to length 1
first (u_k then counts in 1/|g_k|), so that a short gradient is not taken for rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn

from seamwise.continual.batch import Batch, Step
from seamwise.continual.draw import Draw
from seamwise.continual.objective import Objective
from seamwise.continual.strategy import State, Strategy
from seamwise.continual.stream import Experience
from seamwise.continual.undisturbed import undisturbed

COLUMNS = ("x", "y", "task", "index")


@dataclass(eq=False)
class GradientEpisodicMemory(Strategy):
    """Keeps samples of every experience and turns gradients that would harm one of them.

    capacity: samples kept in all, shared alike among the experiences learned so far (at least one each). margin: gamma;
    the paper's experiments use .5. samples: how many of each memory's samples a step looks at; None: all, as in the
    paper. The memories' losses are those of the model in eval mode: without dropout, with the running statistics of
    BatchNorm. In a chain it comes last, for what changes the gradient after it may undo the correction.
    """

    capacity: int = 500
    margin: float = 0.5
    samples: int | None = 64
    steps: int = field(default=0, init=False)  # looked at the memories so often
    memory: list[Batch] = field(default_factory=list, init=False)
    draw: Draw = field(default=Draw(("gem",)), init=False)

    def __post_init__(self) -> None:
        if not (self.capacity >= 1 and self.margin >= 0 and (self.samples is None or self.samples >= 1)):
            raise ValueError(
                f"capacity and samples must be >= 1 and margin >= 0, not {self.capacity}, {self.samples}, {self.margin}"
            )

    def seed(self, draw: Draw) -> None:
        self.draw = draw.of("gem")

    def begin(self, model: nn.Module, experience: Experience | None = None) -> None:
        _solver()  # says at the start what is missing

    def adjust(self, step: Step) -> None:
        moving = [p for p in step.model.parameters() if p.requires_grad and p.grad is not None]
        if not self.memory or not moving:
            return
        if step.objective is None:
            raise ValueError("GEM needs the loss of its memories: pass Step(model, objective)")
        self.steps += 1
        with undisturbed(step.model), torch.enable_grad():
            step.model.eval()
            old = torch.stack([self._gradient(place, step.model, step.objective, moving) for place in self._places])
        with torch.no_grad():
            g = _flat(moving, [p.grad for p in moving])
            products = old @ g
            if not bool((products < 0).any() & products.isfinite().all()):  # what is no number is the loop's to report
                return
            corrected = torch.split(project(g, old, self.margin), [p.numel() for p in moving])
            for p, gradient in zip(moving, corrected, strict=True):
                p.grad = torch.empty_like(p, requires_grad=False).copy_(gradient.view(p.shape))

    @property
    def _places(self) -> range:
        return range(len(self.memory))

    def _gradient(self, place: int, model: nn.Module, objective: Objective, moving: Sequence[Tensor]) -> Tensor:
        """(parameters,) gradient of the mean loss on one memory."""
        batch = self.memory[place]
        if self.samples is not None and self.samples < len(batch):
            generator = self.draw.of("sample", self.steps, place).generator()
            batch = batch.rows(torch.randperm(len(batch), generator=generator)[: self.samples])
        batch = batch.to(moving[0].device)
        loss = objective.loss(objective.forward(model, batch), batch).mean()
        return _flat(moving, torch.autograd.grad(loss, list(moving), allow_unused=True))

    def consolidate(
        self, model: nn.Module, objective: Objective | None = None, experience: Experience | None = None
    ) -> None:
        if experience is None:
            raise ValueError("GEM fills its memory from the experience's data: pass it")
        room = max(1, self.capacity // (len(self.memory) + 1))
        draw = self.draw.of("memory", len(self.memory))
        rows = torch.randperm(len(experience.train), generator=draw.generator())[:room]
        fresh = experience.train.batch(rows, draw.of("data"))
        # the rows are in random order, so that the first of them are a fair sample of what was kept
        self.memory = [batch.rows(torch.arange(len(batch))[:room]) for batch in self.memory] + [fresh]

    def state_dict(self) -> State:
        columns = {f"{k}.{name}": getattr(batch, name) for k, batch in enumerate(self.memory) for name in COLUMNS}
        return {"steps": self.steps, "memories": len(self.memory), **columns}

    def load_state_dict(self, state: State) -> None:
        self.steps = int(state["steps"])
        self.memory = []
        for place in range(int(state["memories"])):
            x, y, task, index = (state[f"{place}.{name}"].clone() for name in COLUMNS)
            self.memory.append(replace(Batch.of(x, y, index=index), task=task))


def project(g: Tensor, old: Tensor, margin: float = 0.0) -> Tensor:
    """The gradient nearest to g (parameters,) whose products with the rows of `old` (tasks, parameters) are all >= 0.

    With a margin it is not the nearest, for every old gradient is added that much at least; the products stay >= 0.
    """
    gram, products = (old @ old.T).double().cpu(), (old @ g).double().cpu()
    lengths = gram.diagonal().sqrt()
    unit = torch.where(lengths > 0, 1 / lengths, 0.0)
    gram = gram * unit[:, None] * unit
    linear = products * unit + gram @ (margin * lengths)
    values, vectors = torch.linalg.eigh(gram)
    real = values > len(values) * torch.finfo(old.dtype).eps * values[-1]
    root, vectors = values[real].sqrt(), vectors[:, real]
    u, _ = _solver()((root[:, None] * vectors.T).numpy(), (-(vectors.T @ linear) / root).numpy())
    v = margin + torch.as_tensor(u) * unit
    return g + v.to(old) @ old


def _flat(parameters: Sequence[Tensor], gradients: Sequence[Tensor | None]) -> Tensor:
    """One vector in the order of the parameters; zeros where there is no gradient."""
    pairs = zip(parameters, gradients, strict=True)
    return torch.cat([(torch.zeros_like(p) if g is None else g).detach().reshape(-1) for p, g in pairs])


def _solver() -> Callable[..., Any]:
    """Non-negative least squares; imported here, so that nothing else of the learning core needs more than torch."""
    try:
        from scipy.optimize import nnls
    except ImportError as error:
        raise ImportError("GEM solves its projection with scipy: pip install scipy") from error
    return nnls
