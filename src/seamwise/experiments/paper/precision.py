"""Does bfloat16 change what is reported? Short runs on permuted MNIST in it and in float32, on the same seeds."""

from __future__ import annotations

from dataclasses import replace

from seamwise.experiments.paper import permuted_mnist
from seamwise.experiments.paper.figure import Figure, Line, Permuted

STRENGTHS = (0.1, 0.0)
WHOLE = ", float32"


def _pair(c: float, xi: float) -> tuple[Line, Line]:
    parameters = {**permuted_mnist.SI, "c": c, "xi": xi}
    label = f"SI c = {c:g}"
    return Line(label, "si", parameters, {"bf16": True}), Line(f"{label}{WHOLE}", "si", parameters, {"bf16": False})


FULL = Figure(
    name="precision",
    title="bfloat16 beside float32",
    setting=permuted_mnist.SETTING.changed({"tasks": Permuted(5), "epochs": 4, "train_judged": 2000}),
    lines=tuple(line for c in STRENGTHS for line in _pair(c, 0.1)),
    seeds=3,
)

QUICK = replace(
    FULL,
    quick=True,
    setting=permuted_mnist.QUICK.setting.changed({"epochs": 6}),
    seeds=2,
    lines=tuple(line for c in STRENGTHS for line in _pair(c, 1e-3)),
)
