"""Networks that show their last hidden activations: what feature distillation and the like look at."""

from __future__ import annotations

from torch import Tensor, nn
from torch.autograd.graph import Node


def with_features(model: nn.Module, x: Tensor) -> tuple[Tensor, Tensor]:
    """Logits (N, classes, ...) and the last hidden activations (N, F, ...) they are made of, in one forward pass.

    A network shows them by a method `hidden(x)` whose result its `head` turns into logits; of an nn.Sequential (without
    a forward of its own) the last module is the head. Raises ValueError for other networks.
    """
    if isinstance(model, nn.Sequential) and len(model) > 1 and type(model).forward is nn.Sequential.forward:
        *body, head = model
        hidden = x
        for module in body:
            hidden = module(hidden)
        return head(hidden), hidden
    show = getattr(model, "hidden", None)
    # a layer that happens to be called `hidden` promises nothing about what lies between it and the head
    if show is None or isinstance(show, nn.Module) or not hasattr(model, "head"):
        raise ValueError(
            f"{type(model).__name__} does not show its last hidden activations: give it a method hidden(x) and a head "
            "with head(hidden(x)) the logits, or make it an nn.Sequential whose last module is the head"
        )
    hidden = show(x)
    return model.head(hidden), hidden  # type: ignore[operator]


def output_layer(logits: Tensor, features: Tensor) -> set[Tensor]:
    """The parameters that the logits depend on and the features do not, read from the graph of a forward pass."""
    return _parameters_below(logits) - _parameters_below(features)


def _parameters_below(answer: Tensor) -> set[Tensor]:
    """The leaves with a gradient that a tensor was made from."""
    found: set[Tensor] = set()
    seen: set[Node] = set()
    ahead = [answer.grad_fn]
    while ahead:
        node = ahead.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if hasattr(node, "variable"):
            found.add(node.variable)
        ahead += [below for below, _ in node.next_functions]
    return found
