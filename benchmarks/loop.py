"""What the learner costs around a step: python benchmarks/loop.py [--json FILE] [--rounds N]

The small network of the paper (784-256-256-10, batches of 64) learns its second experience with Synaptic Intelligence:
drawing the batch, the step, a line of log every tenth step, and the test set's accuracy every hundredth. The learner
does it (`seamwise.continual.Learner`), and so does the barest loop that one would write by hand, once with SI and once
with torch's default Adam alone. Each round runs a hundred steps of every loop, one after another.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from results import head, told, write
from seamwise.continual import (
    Classification,
    Experience,
    Learner,
    Progress,
    Step,
    SynapticIntelligence,
    TensorDataset,
    Training,
    undisturbed,
)
from seamwise.continual.optimizers import build_optimizer
from steps import Loop, cell, measure, mlp, ratio

SAMPLES, TESTED, BATCH = 6400, 1000, 64
LOG_EVERY, JUDGE_EVERY = 10, 100


class Bare:
    """Written by hand. fused: torch's fused Adam, else its default."""

    steps = JUDGE_EVERY

    def __init__(self, *, si: bool, fused: bool) -> None:
        torch.manual_seed(0)
        self.model, self.x, self.y = mlp(256), torch.rand(SAMPLES, 784), torch.randint(10, (SAMPLES,))
        params = list(self.model.parameters())
        self.optimizer = build_optimizer("adam", params, 1e-3, fused=True) if fused else torch.optim.Adam(params)
        self.si, self.step = (SynapticIntelligence(c=0.1) if si else None), Step(self.model)
        self.log: list[float] = []
        if self.si:
            self.si.begin(self.model)
            self.run(1)
            self.si.consolidate(self.model)
            self.si.begin(self.model)

    def run(self, steps: int) -> None:
        order = torch.randperm(SAMPLES)
        for number in range(steps):
            rows = order[number * BATCH : (number + 1) * BATCH]
            self.optimizer.zero_grad()
            loss = F.cross_entropy(self.model(self.x[rows]), self.y[rows])
            loss.backward()  # type: ignore[no-untyped-call]
            if self.si:
                self.si.observe(self.step)
                self.si.adjust(self.step)
            self.optimizer.step()
            if self.si:
                self.si.after_step(self.step)
            if number % LOG_EVERY == 0:
                self.log.append(loss.item())
        self.log.append(judged(self.model, self.x[:TESTED], self.y[:TESTED]))


class Learned:
    """The learner's loop."""

    steps = JUDGE_EVERY

    def __init__(self) -> None:
        torch.manual_seed(0)
        model = mlp(256)
        x, y = torch.rand(SAMPLES, 784), torch.randint(10, (SAMPLES,))
        self.tested = x[:TESTED], y[:TESTED]
        self.learner = Learner(
            model, SynapticIntelligence(c=0.1), Classification(), Training(batch_size=BATCH, steps=1)
        )
        data = TensorDataset(x, y)
        list(self.learner.fit([Experience(0, "first", data)]))
        self.learner.training = Training(batch_size=BATCH, steps=10**9)
        self.going: Iterator[Progress] = self.learner.fit([Experience(0, "first", data), Experience(1, "second", data)])
        self.log: list[float] = []

    def run(self, steps: int) -> None:
        for number in range(steps):
            progress = next(self.going)
            if number % LOG_EVERY == 0 and progress.loss is not None:
                self.log.append(float(progress.loss))
        with undisturbed(self.learner.model):
            self.learner.model.eval()
            self.log.append(judged(self.learner.model, *self.tested))


@torch.no_grad()
def judged(model: Callable[[Tensor], Tensor], x: Tensor, y: Tensor) -> float:
    return float((model(x).argmax(1) == y).float().mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="write the numbers to this file, a page beside it")
    parser.add_argument("--rounds", type=int, default=30, help="rounds (default 30)")
    options = parser.parse_args()
    torch.set_num_threads(1)
    loops: dict[str, Loop] = {
        "default": Bare(si=False, fused=False),
        "bare": Bare(si=True, fused=True),
        "learner": Learned(),
    }
    (times,) = measure([loops], options.rounds)
    result = head("loop") | {
        "rounds": options.rounds,
        "learner_over_bare_with_si": ratio(times["learner"], times["bare"]),
        "learner_over_default_adam": ratio(times["learner"], times["default"]),
        "bare_with_si_over_default_adam": ratio(times["bare"], times["default"]),
        "default_adam_ms": round(1000 * statistics.median(times["default"]), 3),
    }
    print(json.dumps(result, indent=1))
    write(options.json, result, page(result))


def page(result: dict[str, Any]) -> str:
    """The figures as a Markdown page beside the JSON."""
    names = ("learner_over_bare_with_si", "learner_over_default_adam", "bare_with_si_over_default_adam")
    rows = [f"| {name.replace('_', ' ')} | {cell(result[name])} |" for name in names]
    lines = [
        "# What the learner costs around a step",
        "",
        told(result),
        "",
        "The small network of the paper (784-256-256-10, batches of 64) with Synaptic Intelligence in its second",
        "experience: drawing the batch, the step, a line of log every tenth step, the accuracy on 1000 samples every",
        "hundredth. Beside it the same written by hand, with SI and fused Adam, and with torch's default Adam alone.",
        f"One thread, {result['rounds']} rounds; median of paired ratios, in brackets 90 % of its bootstrap.",
        "",
        "| | |",
        "|---|---:|",
        *rows,
        "",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
