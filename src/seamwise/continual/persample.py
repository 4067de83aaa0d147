"""Squared gradients of every sample by itself, for a whole batch at once, layer by layer.

A layer's gradient for one sample follows from what went in, a, and the gradient of what came out, d. Of a linear layer
it is the outer product d a' (Goodfellow 2015, "Efficient per-example gradient computations"), so that a weighted sum of
squares over samples n is one matrix product: sum_n p_n (d_n a_n')^2 = (p d^2)' a^2. A convolution is a linear layer
applied at many places: its gradient sums d a' over them before it is squared, one small matrix product a sample.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.graph import GradientEdge, get_gradient_edge

from seamwise.continual.batch import Batch
from seamwise.continual.objective import Objective, at_least_float32

Layers = Mapping[str, nn.Linear | nn.Conv2d]  # by the prefix of their parameters' names
LARGEST = 1 << 24  # numbers held at once while a convolution's gradients are squared


class UnfitError(Exception):
    """The network uses its layers in a way that the rules above do not cover."""


def plain_layers(model: nn.Module) -> Layers | None:
    """The linear and convolutional layers, if every trainable parameter belongs to exactly one of them."""
    layers: dict[str, nn.Linear | nn.Conv2d] = {}
    owned: list[Tensor] = []
    for name, module in model.named_modules():
        own = [p for p in module.parameters(recurse=False) if p.requires_grad]
        if not own:
            continue
        if not isinstance(module, nn.Linear | nn.Conv2d):
            return None
        if isinstance(module, nn.Conv2d) and (module.groups > 1 or _padding(module) is None):
            return None
        layers[f"{name}." if name else ""] = module
        owned += own
    return layers if owned and len(owned) == len(set(owned)) else None


def add_expected_squares(
    model: nn.Module, objective: Objective, batch: Batch, layers: Layers, weight: float, total: Mapping[str, Tensor]
) -> None:
    """Adds weight * sum_n sum_k p_nk (gradient of log p_nk)^2 to `total`, by parameter name.

    p_nk: the model's probability of class k for sample n; one backward pass a class goes through all samples. Raises
    UnfitError where the answer is no class id, or a layer is used twice or on other than vectors (Linear) and maps
    (Conv2d), one a sample.
    """
    with _watched(layers) as seen:
        log_p = torch.log_softmax(at_least_float32(objective.forward(model, batch).logits), dim=1)
    if log_p.ndim != 2 or any(len(a) != len(batch) for a, _ in seen.values()):
        raise UnfitError
    inputs, edges = [a for a, _ in seen.values()], [edge for _, edge in seen.values()]
    spread: dict[str, Tensor] = {}  # of linear layers: sum_k p_nk d_nk^2 first, for a is the same for every class
    for k, p in enumerate(log_p.detach().exp().T * weight):
        if not bool((p > 0).any()):  # masked
            continue
        for prefix, a, d in zip(seen, inputs, _slopes(log_p[:, k].sum(), edges), strict=True):
            layer = layers[prefix]
            if d is None:
                continue
            if isinstance(layer, nn.Conv2d):
                _add_convolution(layer, a, d, p.to(d.dtype), _own(total, prefix))
            else:
                spread[prefix] = spread.get(prefix, 0) + d.square() * p[:, None].to(d.dtype)
    for prefix, squares in spread.items():
        for kind, into in _own(total, prefix).items():
            into += squares.T @ seen[prefix][0].square() if kind == "weight" else squares.sum(0)


def _slopes(likelihood: Tensor, edges: Sequence[GradientEdge]) -> Sequence[Tensor | None]:
    """Gradients of what came out of the layers; None where it plays no part."""
    return torch.autograd.grad(likelihood, edges, retain_graph=True, allow_unused=True)


def _add_convolution(layer: nn.Conv2d, a: Tensor, d: Tensor, p: Tensor, total: Mapping[str, Tensor]) -> None:
    """a (N, in, H, W), d (N, out, h, w), p (N,): adds sum_n p_n (sum over places of d a')^2."""
    d = d.flatten(2)
    padding = _padding(layer)
    assert padding is not None
    taps, (out, places) = layer.weight[0].numel(), d.shape[1:]
    few = max(1, LARGEST // (taps * (places + out)))
    for some_a, some_d, some_p in zip(*(torch.split(t, few) for t in (a, d, p)), strict=True):
        for kind, into in total.items():
            if kind == "weight":
                seen = F.unfold(some_a, layer.kernel_size, layer.dilation, padding, layer.stride)  # (n, taps, places)
                squares = (some_d @ seen.transpose(1, 2)).square_()  # (n, out, taps)
            else:
                squares = some_d.sum(2).square_()
            into += torch.tensordot(some_p, squares, 1).view(into.shape)


def _own(total: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The entries of a layer's own parameters, those that are trained."""
    return {kind: total[prefix + kind] for kind in ("weight", "bias") if prefix + kind in total}


def _padding(layer: nn.Conv2d) -> tuple[int, ...] | None:
    """Zeros at either border; None where there is something else, or more at one border than at the other."""
    if layer.padding_mode != "zeros":
        return None
    if not isinstance(layer.padding, str):
        return layer.padding
    if layer.padding == "valid":
        return 0, 0
    reach = [dilation * (size - 1) for dilation, size in zip(layer.dilation, layer.kernel_size, strict=True)]
    return None if any(r % 2 for r in reach) else tuple(r // 2 for r in reach)


@contextmanager
def _watched(layers: Layers) -> Iterator[dict[str, tuple[Tensor, GradientEdge]]]:
    """Notes during a forward pass what goes into each layer and where in the graph its output is."""
    seen: dict[str, tuple[Tensor, GradientEdge]] = {}

    def note(prefix: str, layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        axes = 2 if isinstance(layer, nn.Linear) else 4
        if prefix in seen or len(inputs) != 1 or inputs[0].ndim != axes or not output.requires_grad:
            raise UnfitError
        # the edge rather than the tensor, which a ReLU in place would turn into its own output
        seen[prefix] = inputs[0].detach(), get_gradient_edge(output)

    with ExitStack() as stack:
        for prefix, layer in layers.items():
            stack.callback(layer.register_forward_hook(partial(note, prefix)).remove)
        yield seen
