"""Tensors a strategy keeps beside each parameter: by name, in the parameter's own memory layout, never its memory."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

Tensors = list[Tensor] | tuple[Tensor, ...]


class Bound:
    """Named kinds of tensors, one of each kind a trainable parameter, kept as lists for `torch._foreach_*`.

    State follows parameters by name, so it survives a model that was rebuilt, moved or grown; new parameters start
    at zero, and what is no longer trainable keeps what it had.
    """

    def __init__(self, *kinds: str) -> None:
        self.kinds = kinds
        self.parameters: list[Tensor] = []
        self.names: list[str] = []
        self.model: Callable[[], nn.Module | None] = lambda: None
        self._by_name: dict[str, dict[str, Tensor]] = {kind: {} for kind in kinds}
        self._lists: dict[str, list[Tensor]] = {kind: [] for kind in kinds}

    def __deepcopy__(self, memo: dict[int, Any]) -> Bound:
        """The state alone: a copy is lined up anew with the model it is used with."""
        twin = Bound(*self.kinds)
        twin.load_state_dict(self.state_dict())
        return twin

    @property
    def known(self) -> bool:
        """Whether any parameter has state."""
        return any(self._by_name.values())

    @torch.no_grad()
    def attach(self, model: nn.Module) -> None:
        """Lines the state up with the model's trainable parameters."""
        self.model = weakref.ref(model)
        trainable = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
        self.names = [name for name, _ in trainable]
        self.parameters = [p for _, p in trainable]
        for kind, tensors in self._by_name.items():
            for name, p in trainable:
                tensors[name] = _like(p, tensors.get(name), f"{kind} of {name}")
            self._lists[kind] = [tensors[name] for name in self.names]

    def __getitem__(self, kind: str) -> list[Tensor]:
        return self._lists[kind]

    def __iter__(self) -> Iterator[tuple[Tensor, ...]]:
        """(parameter, one tensor of each kind) for each trainable parameter."""
        return zip(self.parameters, *self._lists.values(), strict=True)

    def state_dict(self) -> dict[str, Tensor]:
        return {f"{kind}.{name}": t for kind, tensors in self._by_name.items() for name, t in tensors.items()}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        self._by_name = {kind: {} for kind in self.kinds}
        for key, value in state.items():
            kind, _, name = key.partition(".")
            if kind not in self._by_name:
                raise ValueError(f"state holds {key!r}, which this strategy does not keep (it keeps {self.kinds})")
            self._by_name[kind][name] = value.detach().clone()
        self._lists = {kind: [] for kind in self.kinds}
        self.model = lambda: None


def _like(p: Tensor, value: Tensor | None, what: str) -> Tensor:
    """`value` in the layout, type and place of `p`; zeros if there is none yet."""
    if value is None:
        return torch.zeros_like(p, requires_grad=False)
    if value.shape != p.shape:
        raise ValueError(f"{what} has shape {tuple(value.shape)}, the parameter {tuple(p.shape)}: another network?")
    if value.stride() == p.stride() and value.dtype == p.dtype and value.device == p.device:
        return value
    return torch.empty_like(p, requires_grad=False).copy_(value)


def subtract(a: Tensors, b: Tensors, into: Tensors) -> Tensors:
    """a - b for each pair. On a CPU into the given memory: fresh pages every step cost more than the arithmetic."""
    if a and a[0].is_cpu:
        for x, y, out in zip(a, b, into, strict=True):
            torch.sub(x, y, out=out)
        return into
    return torch._foreach_sub(a, b)


def addcmul(a: Tensors, b: Tensors, c: Tensors, value: float, into: Tensors) -> Tensors:
    """a + value * b * c for each triple; memory as in `subtract`."""
    if a and a[0].is_cpu:
        for x, y, z, out in zip(a, b, c, into, strict=True):
            torch.addcmul(x, y, z, value=value, out=out)
        return into
    return torch._foreach_addcmul(a, b, c, value)


class Seen:
    """The task's gradients of one step, as a strategy saw them. fresh: nobody has used them yet."""

    def __init__(self) -> None:
        self.gradients: list[Tensor | None] = []
        self.versions: list[int] = []
        self.fresh = False

    def look(self, parameters: Sequence[Tensor], copy: bool) -> None:
        """Takes the gradients as they are now. copy: keep a copy of each."""
        grads = [p.grad for p in parameters]
        self.gradients = [None if g is None else g.clone() for g in grads] if copy else grads
        self.versions = [0 if g is None else g._version for g in self.gradients]
        self.fresh = True

    def clear(self) -> None:
        self.gradients, self.fresh = [], False

    def check(self, parameters: Sequence[Tensor], remedy: str) -> None:
        """Refuses a step without gradients, and a loop that changed one in place after it was seen.

        The path integral would silently use the changed one (gradient clipping and Nesterov momentum do this).
        """
        if len(self.gradients) < len(parameters):
            raise RuntimeError("no gradients were seen since the last step: call adjust between backward and the step")
        for gradient, version in zip(self.gradients, self.versions, strict=True):
            if gradient is not None and gradient._version != version:
                raise RuntimeError(
                    "a gradient was changed in place after the strategy had looked at it (torch's clip_grad_norm_ or "
                    f"Nesterov momentum do this): use seamwise.continual.clip_gradients, or {remedy}"
                )


@torch.no_grad()
def clip_gradients(parameters: Sequence[Tensor], max_norm: float) -> Tensor:
    """Scales gradients to a total norm of at most max_norm, into new tensors; returns the norm before."""
    moving = [p for p in parameters if p.grad is not None]
    if not moving:
        return torch.zeros(())
    gradients = [p.grad for p in moving if p.grad is not None]
    norm: Tensor = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients)))
    factor = (max_norm / (norm + 1e-6)).clamp(max=1.0)
    for p, gradient in zip(moving, torch._foreach_mul(gradients, factor), strict=True):
        p.grad = gradient
    return norm
