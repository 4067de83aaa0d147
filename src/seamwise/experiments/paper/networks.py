"""The paper's two networks, with weights that are a function of the seed alone."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Literal

import torch
from torch import nn

from seamwise.continual import Draw

Initial = Literal["glorot", "torch"]


def perceptron(
    inputs: int,
    hidden: Sequence[int],
    classes: int,
    *,
    dropout: float = 0.0,
    zero_head: bool = False,
    init: Initial = "glorot",
    seed: int,
) -> nn.Sequential:
    """Linear layers with ReLU between them, for flat inputs (N, inputs); the output layer is the last module.

    hidden: units of each hidden layer. dropout: probability, after every hidden layer. zero_head: the output layer
    starts at zero. init: "glorot", uniform as by Glorot and Bengio (2010) with zero biases, which is what the authors'
    code uses; "torch", this framework's own.
    """
    widths = [inputs, *hidden]
    layers: list[nn.Module] = []
    with torch.device("meta"):
        for before, units in itertools.pairwise(widths):
            layers += [nn.Linear(before, units), nn.ReLU(), *([nn.Dropout(dropout)] if dropout else [])]
        layers.append(nn.Linear(widths[-1], classes))
    return _started(nn.Sequential(*layers), init, zero_head, seed)


def convolutional(classes: int, *, zero_head: bool = True, init: Initial = "glorot", seed: int) -> nn.Sequential:
    """The network of split CIFAR-10/100 for inputs (N, 3, 32, 32); the output layer is the last module.

    Two stages of two 3x3 convolutions, the second without padding, each with ReLU, then maximum pooling and dropout
    .25; a layer of 512 units with ReLU and dropout .5. zero_head, init: as of the perceptron.
    """
    with torch.device("meta"):
        network = nn.Sequential(
            *_stage(3, 32),  # 32 x 32 -> 15 x 15
            *_stage(32, 64),  # 15 x 15 -> 6 x 6
            nn.Flatten(),
            nn.Linear(64 * 6 * 6, 512),
            nn.ReLU(),
            nn.Dropout(0.5),
            nn.Linear(512, classes),
        )
    return _started(network, init, zero_head, seed)


def _stage(inside: int, outside: int) -> list[nn.Module]:
    same, valid = nn.Conv2d(inside, outside, 3, padding=1), nn.Conv2d(outside, outside, 3)
    return [same, nn.ReLU(), valid, nn.ReLU(), nn.MaxPool2d(2), nn.Dropout(0.25)]


def _started(network: nn.Sequential, init: Initial, zero_head: bool, seed: int) -> nn.Sequential:
    """Initial values for a network built without any, drawn for each layer by its name.

    torch's global generator is not touched, which it would be by layers built the usual way.
    """
    network.to_empty(device="cpu")
    for name, layer in network.named_children():
        if not isinstance(layer, nn.Linear | nn.Conv2d):
            continue
        generator = Draw(("initial weights", seed, name)).generator()
        # What `reset_parameters` of both layers does: uniform within 1 / sqrt(fan-in), weights and biases alike.
        bound = 1 / math.sqrt(layer.weight[0].numel())
        for parameter in layer.parameters():
            if init == "torch":
                nn.init.uniform_(parameter, -bound, bound, generator=generator)
            elif parameter.ndim > 1:
                nn.init.xavier_uniform_(parameter, generator=generator)
            else:
                nn.init.zeros_(parameter)
    if zero_head:
        for parameter in network[-1].parameters():
            nn.init.zeros_(parameter)
    return network
