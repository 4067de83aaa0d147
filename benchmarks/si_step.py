"""What Synaptic Intelligence costs a training step: python benchmarks/si_step.py [--json FILE] [--rounds N]

Each round runs a few steps of every loop, one after another, so that all meet the same noise; a ratio is the median of
the rounds' ratios with the interval that holds the middle 90 % of its bootstrap. Loops: a bare one with torch's default
Adam, a bare one with fused Adam, and with SI in its second experience, when the pull is on: after fused Adam, and with
Adam in one compiled pass.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from results import head, told, write
from seamwise.continual import Step, SynapticIntelligence
from seamwise.continual.optimizers import build_optimizer
from seamwise.continual.single_pass import SinglePass
from seamwise.vision.networks import build_network
from steps import cell, measure, mlp, ratio


def unet() -> nn.Module:
    return build_network("unet", 1, 2, width=16).to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


# name -> (network, input shape, target shape, classes, steps a round)
CASES: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...], tuple[int, ...], int, int]] = {
    "small": (lambda: mlp(256), (64, 784), (64,), 10, 40),
    "big": (lambda: mlp(2000), (256, 784), (256,), 10, 3),
    "unet": (unet, (8, 1, 128, 128), (8, 128, 128), 2, 1),
}


class Loop:
    """One network with its optimizer, with SI or without."""

    def __init__(self, case: str, *, fused: bool, si: bool, experiences: int = 1, compiled: bool = False) -> None:
        build, x, y, classes, self.steps = CASES[case]
        torch.manual_seed(0)
        self.model = build()
        self.x, self.y = torch.rand(x), torch.randint(classes, y)
        params = list(self.model.parameters())
        self.optimizer = build_optimizer("adam", params, 1e-3, fused=True) if fused else torch.optim.Adam(params)
        self.si = SynapticIntelligence(c=0.1) if si else None
        self.step = Step(self.model)
        self.single: SinglePass | None = None
        if self.si is not None:
            if compiled:
                self.single = SinglePass(self.si, self.optimizer)  # type: ignore[arg-type]
            for _ in range(experiences):
                self.si.begin(self.model)
                self.run(1)
                self.si.consolidate(self.model)
            self.si.begin(self.model)

    def run(self, steps: int) -> None:
        for _ in range(steps):
            self.optimizer.zero_grad()
            F.cross_entropy(self.model(self.x), self.y).backward()  # type: ignore[no-untyped-call]
            if self.single is not None:
                self.single(self.model)
                continue
            if self.si is not None:
                self.si.observe(self.step)
                self.si.adjust(self.step)
            self.optimizer.step()
            if self.si is not None:
                self.si.after_step(self.step)


def costs(case: str, rounds: int) -> dict[str, Any]:
    loops = {
        "default": Loop(case, fused=False, si=False),
        "fused": Loop(case, fused=True, si=False),
        "si": Loop(case, fused=True, si=True),
        "compiled": Loop(case, fused=True, si=True, compiled=True),
    }
    (times,) = measure([loops], rounds)
    return {
        "si_over_default_adam": ratio(times["si"], times["default"]),
        "si_over_fused_adam": ratio(times["si"], times["fused"]),
        "compiled_over_default_adam": ratio(times["compiled"], times["default"]),
        "compiled_over_fused_adam": ratio(times["compiled"], times["fused"]),
        "fused_over_default_adam": ratio(times["fused"], times["default"]),
        "default_adam_ms": round(1000 * statistics.median(times["default"]), 3),
    }


def growth(rounds: int) -> dict[str, float]:
    """A step in the 100th experience against one in the second."""
    loops = {"late": Loop("small", fused=True, si=True, experiences=99), "early": Loop("small", fused=True, si=True)}
    (times,) = measure([loops], rounds)
    return ratio(times["late"], times["early"])


class Allocations(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Bytes of the tensors that operations make anew (not in place)."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.bytes = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        given = {leaf.untyped_storage().data_ptr() for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)}
        for leaf in tree_leaves(result):
            if isinstance(leaf, Tensor) and leaf.untyped_storage().data_ptr() not in given:
                self.bytes += leaf.numel() * leaf.element_size()
        return result


def memory(case: str) -> dict[str, float]:
    """Bytes a parameter: kept between steps, carried scratch, and made anew within a step."""
    loop = Loop(case, fused=True, si=True)
    assert loop.si is not None
    parameters = sum(p.numel() for p in loop.model.parameters())
    loop.run(1)
    kept = sum(t.numel() * t.element_size() for t in loop.si.state_dict().values() if isinstance(t, Tensor))
    carried = sum(t.numel() * t.element_size() for t in (*loop.si.displacement, *loop.si.spare))
    loop.optimizer.zero_grad()
    F.cross_entropy(loop.model(loop.x), loop.y).backward()  # type: ignore[no-untyped-call]
    with Allocations() as made:
        loop.si.observe(loop.step)
        loop.si.adjust(loop.step)
        loop.si.after_step(loop.step)
    return {
        "parameters": parameters,
        "bytes_kept_per_parameter": kept / parameters,
        "bytes_carried_scratch_per_parameter": carried / parameters,
        "bytes_made_within_a_step_per_parameter": made.bytes / parameters,
    }


def page(result: dict[str, Any]) -> str:
    """The figures as a Markdown page beside the JSON."""

    columns = (
        "si_over_default_adam",
        "si_over_fused_adam",
        "compiled_over_default_adam",
        "compiled_over_fused_adam",
        "fused_over_default_adam",
    )
    rows = [
        f"| {case}, {threads} thread{'s' * (threads > 1)} | "
        + " | ".join(cell(result[f"{case}_threads_{threads}"][column]) for column in columns)
        + f" | {result[f'{case}_threads_{threads}']['default_adam_ms']:.1f} |"
        for threads in (1, 2)
        for case in CASES
    ]
    memory = result["memory"]
    kept, carried, made = (
        round(memory[f"bytes_{part}_per_parameter"]) for part in ("kept", "carried_scratch", "made_within_a_step")
    )
    lines = [
        "# What Synaptic Intelligence costs a training step",
        "",
        told(result),
        "",
        "Time of a step with SI (fused Adam, second experience, the pull is on) relative to the same bare loop with",
        f"torch's default Adam and with fused Adam; {result['rounds']} rounds, median of paired ratios, in brackets",
        "90 % of its bootstrap.",
        "small: MLP 784-256-256-10, batch 64. big: MLP 784-2000-2000-10, batch 256. unet: 1.9 M parameters, batch 8.",
        "",
        "compiled: SI and Adam in one pass (`Learner(compiled=True)`, needs a C++ compiler).",
        "",
        "| network | SI over default Adam | SI over fused Adam | compiled over default | compiled over fused "
        "| fused over default, no SI | default Adam, ms |",
        "|---|---:|---:|---:|---:|---:|---:|",
        *rows,
        "",
        f"A step in the 100th experience over one in the second: {cell(result['experience_100_over_2'])}.",
        "",
        f"Bytes a parameter (float32): {kept} kept between steps (path, importance, reference), {carried} of scratch",
        "carried from step to step (displacement and a spare buffer, made anew after a resume), "
        f"{made} made anew within a step.",
        "",
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="write the numbers to this file")
    parser.add_argument("--rounds", type=int, default=60, help="rounds of each comparison (default 60)")
    options = parser.parse_args()
    result = head("si-step") | {"rounds": options.rounds}
    for threads in (1, 2):
        torch.set_num_threads(threads)
        for case in CASES:
            figures = costs(case, options.rounds)
            result[f"{case}_threads_{threads}"] = figures
            shown = "  ".join(f"{k} {v['median']:.2f}" for k, v in figures.items() if isinstance(v, dict))
            print(f"{case:6} {threads} threads: {shown}  ({figures['default_adam_ms']} ms)", flush=True)
    torch.set_num_threads(1)
    result["experience_100_over_2"] = growth(2 * options.rounds)
    result["memory"] = memory("big")
    print(f"100th over 2nd experience: {result['experience_100_over_2']}\nmemory: {result['memory']}")
    write(options.json, result, page(result))


if __name__ == "__main__":
    main()
