"""Figure 6: CIFAR-10 as the first task, then five tasks of ten classes of CIFAR-100 each."""

from __future__ import annotations

from dataclasses import replace

from seamwise.continual import Training
from seamwise.experiments.paper.figure import Appended, Figure, Line, Setting, Split

# Four convolutions and a layer of 512 units with dropout, a multi-head output that starts at zero; Adam, reset for
# each task, 60 epochs of batches of 256. The authors' reset spares Adam's count of steps, which is made elsewhere than
# its moments; without its correction the steps at the beginning of a task are longer, and more is forgotten.
SETTING = Setting(
    data="cifar10",
    tasks=Appended("cifar100_first50"),
    zero_head=True,
    training=Training(optimizer="adam", lr=1e-3, batch_size=256, epochs=60, keep_step_count=True, bf16=True),
    train_judged=5000,
)

FULL = Figure(
    name="split-cifar",
    title="Split CIFAR-10/100",
    setting=SETTING,
    lines=(
        Line("c = 0", "si", {"c": 0.0, "xi": 1e-3}),
        Line("c = 0.01", "si", {"c": 0.01, "xi": 1e-3}),
        Line("c = 0.1", "si", {"c": 0.1, "xi": 1e-3}),
        Line("from scratch", "separate"),
        *(Line(f"c = {c:g}, Adam anew", "si", {"c": c, "xi": 1e-3}, {"keep_step_count": False}) for c in (0.0, 0.01)),
    ),
    seeds=5,
    first="c = 0",
)

QUICK = replace(
    FULL,
    quick=True,
    seeds=1,
    setting=SETTING.changed(
        {
            "data": "digits",
            "tasks": Split(((0, 1, 2, 3), (4, 5), (6, 7), (8, 9))),
            "hidden": (100,),
            "epochs": 20,
            "batch_size": 64,
            "bf16": False,
        }
    ),
)

# Validation accuracy after the last task, from the authors' own result files (five runs, SD .004 to .022).
PUBLISHED = {
    "c = 0": (0.459, 0.549, 0.570, 0.687, 0.675, 0.810),
    "c = 0.01": (0.746, 0.718, 0.714, 0.744, 0.704, 0.786),
    "c = 0.1": (0.783, 0.743, 0.682, 0.719, 0.670, 0.725),
    "from scratch": (0.804, 0.690, 0.647, 0.733, 0.679, 0.713),
}
