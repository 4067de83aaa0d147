"""What a library's Synaptic Intelligence does, found by watching its optimizer in two small tasks.

A hook before every optimizer step records the parameters, the gradient that the optimizer gets and, computed afresh,
the gradient of the task's loss alone. From these the importances of Eq. 5, the pull of Eq. 4 and the path integral of
Eq. 3 are transcribed and compared with what the library holds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trainers import Setup, Trainer

C, XI = 1.0, 1e-2
# Steps a task: most with its own labels, the last few with others, so that some parameters end up having raised the
# loss and their share of importance is negative.
STEPS, CONTRARY_STEPS = 15, 5
CLOSE = 0.01  # relative distance at which two vectors count as the same


@dataclass(frozen=True)
class Effect:
    """In words. importances: after one task. negative: what becomes of negative shares. pull: in the second task.
    gradient: that of the path integral."""

    importances: str
    negative: str
    pull: str
    gradient: str


@dataclass
class Record:
    """What happened at each step; every tensor holds all parameters in one row."""

    trainer: Trainer
    places: list[Tensor] = field(default_factory=list)  # before the step
    task: list[Tensor] = field(default_factory=list)  # gradient of the task's loss
    total: list[Tensor] = field(default_factory=list)  # gradient that the optimizer gets
    moves: list[Tensor] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.trainer.optimizer.register_step_pre_hook(self._before)
        self.trainer.optimizer.register_step_post_hook(self._after)

    def forget(self) -> None:
        for kept in (self.places, self.task, self.total, self.moves):
            kept.clear()

    def _before(self, *_: Any) -> None:
        params = list(self.trainer.model.parameters())
        x, y = self.trainer.batch
        with torch.enable_grad():
            loss = F.cross_entropy(self.trainer.model(x), y)
        self.places.append(flat(params))
        self.task.append(flat(torch.autograd.grad(loss, params)))
        self.total.append(flat(p.grad for p in params if p.grad is not None))

    def _after(self, *_: Any) -> None:
        self.moves.append(flat(self.trainer.model.parameters()) - self.places[-1])

    def paths(self) -> dict[str, Tensor]:
        """The path integral for each gradient a library may mean by `g`."""
        task, total, moves = torch.stack(self.task), torch.stack(self.total), torch.stack(self.moves)
        return {
            "of the task's loss (Eq. 3)": -(task * moves).sum(0),
            "of loss + penalty": -(total * moves).sum(0),
            "of the task's loss, one step late": -(task[1:] * moves[:-1]).sum(0),
            "of loss + penalty, one step late": -(total[1:] * moves[:-1]).sum(0),
        }


def flat(tensors: Iterable[Tensor]) -> Tensor:
    """All values in one row of float64, a copy."""
    return torch.cat([t.detach().double().reshape(-1) for t in tensors]).clone()


def close(a: Tensor, b: Tensor) -> bool:
    return bool((a - b).norm() <= CLOSE * b.norm())


def effect(build: Callable[[Setup], Trainer]) -> Effect:
    """Builds a library's SI, takes it through two tasks and says what it did."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(20, 16), nn.ReLU(), nn.Linear(16, 10))
    batches = tuple((torch.randn(64, 20), torch.randint(10, (64,))) for _ in range(3))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
    trainer = build(Setup("si", model, optimizer, batches, c=C, xi=XI))
    trainer.next_task()
    record = Record(trainer)
    learn(trainer)
    reference = flat(model.parameters())
    share = record.paths()["of the task's loss (Eq. 3)"] / ((reference - record.places[0]).square() + XI)  # Eq. 5
    record.forget()
    trainer.next_task()
    omega = flat(trainer.importances())
    learn(trainer)
    path = flat(trainer.path())
    trainer.next_task()
    added = path / ((flat(model.parameters()) - reference).square() + XI)  # Eq. 5 with the library's own path
    return Effect(
        describe_importances(omega, share),
        describe_negative(flat(trainer.importances()) - omega, added, omega),
        describe_pull(record.total[-1] - record.task[-1], omega * (record.places[-1] - reference)),
        describe_gradient(path, record.paths()),
    )


def learn(trainer: Trainer) -> None:
    x, y = trainer.batch
    trainer.run(STEPS)
    trainer.batch = x, (y + 5) % 10
    trainer.run(CONTRARY_STEPS)
    trainer.batch = x, y


def describe_importances(omega: Tensor, share: Tensor) -> str:
    if not omega.any():
        return "all zero"
    if close(omega, share):
        return "as Eq. 5"
    return f"their sum is {float(omega.abs().sum() / share.abs().sum()):.2g} times that of Eq. 5"


def describe_negative(grown: Tensor, share: Tensor, omega: Tensor) -> str:
    """grown: by how much the second task raised the importances. share: by how much Eq. 5 would. omega: before it."""
    where = share < -1e-6 * share.abs().max()
    if not where.any():
        return "none arose"
    grown, share, omega = grown[where], share[where], omega[where]
    return nearest(
        grown,
        {
            "kept": share,
            "cut from the sum": torch.maximum(share, -omega),
            "cut task by task": torch.zeros_like(share),
        },
    )


def describe_pull(pull: Tensor, away: Tensor) -> str:
    """away: importance times displacement; Eq. 4 makes the pull 2 c times that."""
    if not pull.any():
        return "none"
    factor = float(pull @ away / (away @ away)) / C
    if not close(pull, factor * C * away):
        return "not in proportion to importance and displacement"
    return "as Eq. 4" if abs(factor - 2) < CLOSE else f"{factor / 2:.2g} times Eq. 4"


def describe_gradient(path: Tensor, candidates: dict[str, Tensor]) -> str:
    return nearest(path, candidates) if path.any() else "the integral stays zero"


def nearest(found: Tensor, candidates: dict[str, Tensor]) -> str:
    """The names of the candidates that are the same within `CLOSE`."""
    return " or ".join(name for name, value in candidates.items() if close(found, value)) or "none that was tried"
