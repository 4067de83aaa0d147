"""Figure 3: five tasks of two digits each, one after another, with and without Synaptic Intelligence."""

from __future__ import annotations

from dataclasses import replace

from seamwise.continual import Training
from seamwise.experiments.paper.figure import Figure, Line, Setting, Split

PAIRS = ((0, 1), (2, 3), (4, 5), (6, 7), (8, 9))

# A perceptron with two hidden layers of 256 ReLU units and a multi-head output that starts at zero, the softmax
# masked to the task's two digits; Adam, reset for each task, ten epochs of batches of 64; ten runs.
FULL = Figure(
    name="split-mnist",
    title="Split MNIST",
    setting=Setting(
        data="mnist",
        tasks=Split(PAIRS),
        hidden=(256, 256),
        zero_head=True,
        training=Training(optimizer="adam", lr=1e-3, batch_size=64, epochs=10, keep_optimizer=False),
    ),
    lines=(Line("c = 1", "si", {"c": 1.0, "xi": 1e-3}), Line("c = 0", "si", {"c": 0.0, "xi": 1e-3})),
    seeds=10,
)

QUICK = replace(FULL, quick=True, seeds=2, setting=FULL.setting.changed({"data": "digits", "hidden": (64, 64)}))

# Mean over the five tasks after the fifth on the training set, read off the published figure.
PUBLISHED = {"c = 1": 0.989, "c = 0": 0.859}
