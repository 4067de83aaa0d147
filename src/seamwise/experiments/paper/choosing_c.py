"""Which strength? Grids on a part of the training set that is kept apart, as the paper chose its own."""

from __future__ import annotations

from dataclasses import replace

from seamwise.experiments.paper import permuted_mnist, split_cifar
from seamwise.experiments.paper.figure import Figure, Line, Permuted

STRENGTHS = (0.001, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
EWC_STRENGTHS = (1.0, 10.0, 100.0, 1000.0, 10000.0)

# Permuted MNIST in shorter runs: five tasks, four epochs; 10 000 training pictures are kept apart.
FULL = Figure(
    name="choosing-c",
    title="Choosing c on permuted MNIST",
    setting=permuted_mnist.SETTING.changed(
        {"tasks": Permuted(5), "epochs": 4, "held_out": 10_000, "train_judged": 2000}
    ),
    lines=(
        *(Line(f"SI c = {c:g}", "si", {**permuted_mnist.SI, "c": c}) for c in STRENGTHS),
        *(Line(f"EWC {s:g}", "ewc-per-task", {"strength": s, "samples": 1024}) for s in EWC_STRENGTHS),
    ),
)

QUICK = replace(
    FULL,
    quick=True,
    setting=permuted_mnist.QUICK.setting.changed({"held_out": 300}),
    lines=tuple(line for line in FULL.lines if line.label in ("SI c = 0.001", "SI c = 0.1", "SI c = 1")),
)

# Split CIFAR: the paper's range, 1e-3 < c < .1; 5000 pictures of CIFAR-10 and of CIFAR-100 are kept apart.
CIFAR = Figure(
    name="choosing-c-cifar",
    title="Choosing c on split CIFAR-10/100",
    setting=split_cifar.SETTING.changed({"epochs": 20, "held_out": 5000, "train_judged": 1000}),
    lines=tuple(Line(f"SI c = {c:g}", "si", {"c": c, "xi": 1e-3}) for c in (0.01, 0.002, 0.005, 0.02, 0.05)),
    first="SI c = 0.01",
)
