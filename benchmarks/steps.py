"""What the speed benchmarks share: a network, interleaved timing, and ratios with their uncertainty."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import torch
from torch import nn


def mlp(width: int) -> nn.Module:
    return nn.Sequential(nn.Linear(784, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 10))


class Loop(Protocol):
    """A training loop that can be stopped after any step. steps: how many make one round."""

    steps: int

    def run(self, steps: int) -> None: ...


def seconds_a_step(loop: Loop, clock: Callable[[], float]) -> float:
    start = clock()
    loop.run(loop.steps)
    return (clock() - start) / loop.steps


def measure(
    groups: Sequence[Mapping[str, Loop]], rounds: int, clock: Callable[[], float] = time.perf_counter
) -> list[dict[str, list[float]]]:
    """Seconds a step of each loop in each round; the order turns around from round to round.

    A loop may stand in several groups: it is then timed once in each, close to the loops it is compared with.
    """
    times: list[dict[str, list[float]]] = [{name: [] for name in group} for group in groups]
    for loop in {id(loop): loop for group in groups for loop in group.values()}.values():
        loop.run(loop.steps)
    for number in range(rounds):
        turn = 1 if number % 2 else -1
        for group, kept in list(zip(groups, times, strict=True))[::turn]:
            for name in list(group)[::turn]:
                kept[name].append(seconds_a_step(group[name], clock))
    return times


def ratio(over: list[float], under: list[float]) -> dict[str, float]:
    """Median of paired ratios, with the middle 90 % of its bootstrap."""
    paired = torch.tensor([a / b for a, b in zip(over, under, strict=True)])
    picks = torch.randint(len(paired), (2000, len(paired)), generator=torch.Generator().manual_seed(0))
    medians = paired[picks].median(1).values
    low, high = medians.quantile(torch.tensor([0.05, 0.95])).tolist()
    return {"median": round(statistics.median(paired.tolist()), 3), "low": round(low, 3), "high": round(high, 3)}


def cell(figure: Mapping[str, float]) -> str:
    """`1.23 (1.20 to 1.27)`."""
    return f"{figure['median']:.2f} ({figure['low']:.2f} to {figure['high']:.2f})"
