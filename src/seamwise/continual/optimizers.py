"""Optimizers by name, and their state by parameter name (so that it survives a rebuilt or grown network)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.optim import SGD, Adam, AdamW, Optimizer

OptimizerName = Literal["adam", "adamw", "sgd"]


def build_optimizer(
    name: OptimizerName,
    parameters: Iterable[Tensor],
    lr: float,
    weight_decay: float = 0.0,
    momentum: float = 0.9,
    betas: tuple[float, float] = (0.9, 0.999),
    fused: bool = True,
) -> Optimizer:
    """Adam, AdamW or SGD with momentum in their fused form (one pass over the memory)."""
    if name == "sgd":
        sgd = SGD(parameters, lr=lr, momentum=momentum, weight_decay=weight_decay, fused=fused)
        # torch's fused SGD fails when a parameter gets its first gradient later than others; a zero buffer is the same
        for p in sgd.param_groups[0]["params"] if momentum else ():
            sgd.state[p]["momentum_buffer"] = torch.zeros_like(p, requires_grad=False)
        return sgd
    if name == "adamw":
        return AdamW(parameters, lr=lr, betas=betas, weight_decay=weight_decay, fused=fused)
    if name == "adam":
        return Adam(parameters, lr=lr, betas=betas, weight_decay=weight_decay, fused=fused)
    raise ValueError(f"no optimizer {name!r}; there are adam, adamw, sgd")


def optimizer_state(optimizer: Optimizer, model: nn.Module) -> dict[str, Any]:
    """Flat: `<state>.<parameter>` -> tensor or number; without parameters that are no longer the model's."""
    names: dict[Tensor, str] = {p: name for name, p in model.named_parameters()}
    return {
        f"{key}.{names[p]}": value for p, state in optimizer.state.items() if p in names for key, value in state.items()
    }


@torch.no_grad()
def load_optimizer_state(optimizer: Optimizer, model: nn.Module, state: dict[str, Any]) -> None:
    """Copies the state back, each tensor in its parameter's memory layout; parameters without state start afresh."""
    trained = {p for group in optimizer.param_groups for p in group["params"]}
    by_name = {name: p for name, p in model.named_parameters() if p in trained}
    for key, value in state.items():
        kind, _, name = key.partition(".")
        p = by_name.get(name)
        if p is None:
            continue
        if isinstance(value, Tensor) and value.shape == p.shape:
            value = torch.empty_like(p, dtype=value.dtype, requires_grad=False).copy_(value)
        elif isinstance(value, Tensor):
            if value.ndim:
                raise ValueError(f"optimizer state of {name} has shape {tuple(value.shape)}, not {tuple(p.shape)}")
            value = value.clone().to(p.device) if optimizer.defaults.get("fused") else value.clone()
        optimizer.state[p][kind] = value
