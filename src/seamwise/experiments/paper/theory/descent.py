"""Synaptic Intelligence in a training loop of one's own, in double precision."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from seamwise.continual import Draw, Step, SynapticIntelligence

Array = NDArray[np.float64]


@contextmanager
def one_thread() -> Iterator[None]:
    """Tensors this small are slower with more threads, which would only wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


class Point(nn.Module):
    """Parameters without a network: a point in a loss landscape."""

    def __init__(self, start: Array) -> None:
        super().__init__()
        self.theta = nn.Parameter(torch.tensor(start, dtype=torch.float64))

    @property
    def place(self) -> Array:
        """A copy of where the point is."""
        return np.array(self.theta.detach().numpy())


def descend(
    si: SynapticIntelligence,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    loss: Callable[[], Tensor],
    steps: int,
) -> Iterator[float]:
    """Takes the steps one by one; each time yields the loss before the step."""
    step = Step(model)
    for _ in range(steps):
        optimizer.zero_grad()
        value = loss()
        torch.autograd.backward(value)
        si.observe(step)
        si.adjust(step)
        optimizer.step()
        si.after_step(step)
        yield value.item()


def path(si: SynapticIntelligence) -> dict[str, Tensor]:
    """w by parameter name."""
    return _kind(si, "path")


def importance(si: SynapticIntelligence) -> dict[str, Tensor]:
    """Omega by parameter name."""
    return _kind(si, "importance")


def _kind(si: SynapticIntelligence, kind: str) -> dict[str, Tensor]:
    head = f"{kind}."
    return {n.removeprefix(head): v.clone() for n, v in si.state_dict().items() if n.startswith(head)}


def normal(draw: Draw, *shape: int) -> Array:
    """Standard normal numbers."""
    return np.array(torch.randn(shape, generator=draw.generator(), dtype=torch.float64).numpy())


def uniform(draw: Draw, *shape: int) -> Array:
    """Numbers from 0 to 1."""
    return np.array(torch.rand(shape, generator=draw.generator(), dtype=torch.float64).numpy())
