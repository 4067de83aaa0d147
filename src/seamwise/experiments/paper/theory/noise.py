"""Minibatch noise makes the path integral overestimate: how much, against the size of the batch."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seamwise.continual import Draw, SynapticIntelligence
from seamwise.experiments.paper.theory.check import check
from seamwise.experiments.paper.theory.descent import Array, descend, path
from seamwise.experiments.paper.theory.progress import Part

SAMPLES, FEATURES, HIDDEN, CLASSES = 256, 8, 12, 4
RATE = 0.05
SIZES = (1, 2, 4, 8, 16, 32, 64, 128, SAMPLES)


def noise(seed: int, quick: bool) -> Part:
    """Trains the same networks from the same starts with every batch size, the last being all samples at once."""
    copies, steps = (8, 80) if quick else (32, 300)
    sizes = SIZES[::2] if quick else SIZES
    ratios, predicted, largest_z = [], [], 0.0
    for place, size in enumerate(sizes):
        total, expected, drop = _train(seed, copies, size, steps)
        ratios.append(total / drop)
        predicted.append(expected / drop)
        if size < SAMPLES:
            gap = total - expected
            largest_z = max(largest_z, float(abs(gap.mean()) / (gap.std(ddof=1) / copies**0.5)))
        yield (place + 1) / len(sizes)
    means = [float(row.mean()) for row in ratios]
    rise = max(late - early for early, late in pairwise(means))
    said = "minibatch noise makes w an overestimate on average"
    checks = [
        check(
            f"smallest Σw / drop of {copies} networks and all batch sizes below the full one: above 1",
            "3",
            smallest := float(min(row.min() for row in ratios[:-1])),
            1.0,
            max(0.0, 1.0 - smallest),
            0.0,
            statement=said,
        ),
        check("largest rise of Σw / drop from one batch size to the next", "3", rise, 0.0, max(0.0, rise), 0.0),
        check(
            "full batch: Σw / drop",
            "3",
            means[-1],
            1.0,
            abs(means[-1] - 1),
            0.05,
            statement="with the exact gradient Σw is the drop, but for the finite step",
        ),
        check(
            "Σw less Σ lr (‖g‖² + tr Cov g / batch size): largest z of all batch sizes",
            "3",
            largest_z,
            0.0,
            largest_z,
            6.0 if quick else 4.0,
        ),
    ]
    return {
        "checks": checks,
        "sizes": list(sizes),
        "copies": copies,
        "steps": steps,
        "ratio": means,
        "spread": [float(row.std(ddof=1)) for row in ratios],
        "predicted": [float(row.mean()) for row in predicted],
    }


class Copies(nn.Module):
    """Many small networks side by side, each with its own start; what one does never reaches another."""

    def __init__(self, copies: int, draw: Draw) -> None:
        super().__init__()
        generator = draw.generator()

        def weights(*shape: int) -> nn.Parameter:
            scale = shape[0] ** -0.5
            return nn.Parameter(scale * torch.randn(copies, *shape, generator=generator, dtype=torch.float64))

        self.inner, self.outer = weights(FEATURES + 1, HIDDEN), weights(HIDDEN + 1, CLASSES)  # last row: biases

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """x: (copies, N, FEATURES). Returns hidden activations and logits, (copies, N, ...)."""
        hidden = torch.tanh(_widened(x) @ self.inner)
        return hidden, _widened(hidden) @ self.outer

    @torch.no_grad()
    def noise(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """For each copy: loss, squared gradient, and the trace of the covariance of the gradients of single samples.

        A sample's gradient of a layer is an outer product, so its square is the product of two squares.
        """
        hidden, logits = self(x)
        loss = F.cross_entropy(logits.flatten(0, 1), y.flatten(), reduction="none").view_as(y).mean(1)
        wrong = logits.softmax(-1) - F.one_hot(y, CLASSES)
        back = (wrong @ self.outer[:, :-1].transpose(1, 2)) * (1 - hidden**2)
        single = torch.zeros_like(y, dtype=torch.float64)
        square = torch.zeros_like(loss)
        for inputs, errors in ((_widened(x), back), (_widened(hidden), wrong)):
            single += inputs.square().sum(-1) * errors.square().sum(-1)
            square += (inputs.transpose(1, 2) @ errors / y.shape[1]).square().sum((1, 2))
        return loss, square, single.mean(1) - square


def _widened(x: Tensor) -> Tensor:
    return F.pad(x, (0, 1), value=1.0)


def samples(seed: int) -> tuple[Tensor, Tensor]:
    """Overlapping clusters: x (SAMPLES, FEATURES) and their classes."""
    draw = Draw(("paper", "theory", "clusters", seed))
    centres = 1.2 * torch.randn(CLASSES, FEATURES, generator=draw.of("centres").generator(), dtype=torch.float64)
    y = torch.arange(SAMPLES) % CLASSES
    spread = torch.randn(SAMPLES, FEATURES, generator=draw.of("spread").generator(), dtype=torch.float64)
    return centres[y] + spread, y


def _train(seed: int, copies: int, size: int, steps: int) -> tuple[Array, Array, Array]:
    """For each copy: Σw, what it should be on average given the places passed, and the drop of the whole set's loss.

    A batch is drawn with replacement, so that its gradient's covariance is that of one sample's over the size.
    """
    draw = Draw(("paper", "theory", "noise", seed))
    x, y = samples(seed)
    model, si = Copies(copies, draw.of("start")), SynapticIntelligence()
    generator = draw.of("batches", size).generator()
    whole, classes = x.expand(copies, -1, -1), y.expand(copies, -1)
    expected = torch.zeros(copies, dtype=torch.float64)

    def loss() -> Tensor:
        if size == SAMPLES:
            chosen = torch.arange(SAMPLES).expand(copies, -1)
        else:
            chosen = torch.randint(SAMPLES, (copies, size), generator=generator)
        _, logits = model(x[chosen])
        return F.cross_entropy(logits.flatten(0, 1), y[chosen].flatten(), reduction="sum") / size

    def note() -> Tensor:
        start, square, covariance = model.noise(whole, classes)
        expected.add_(square + (0 if size == SAMPLES else covariance / size), alpha=RATE)
        return start

    first = note()
    optimizer = torch.optim.SGD(model.parameters(), lr=RATE)
    for done, _ in enumerate(descend(si, model, optimizer, loss, steps), start=1):
        if done < steps:
            note()
    last, _, _ = model.noise(whole, classes)
    total = sum(w.sum((1, 2)) for w in path(si).values())
    assert isinstance(total, Tensor)
    return np.array(total.numpy()), np.array(expected.numpy()), np.array((first - last).numpy())
