"""The model as it was before the experience: what distillation compares the learning model with."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from seamwise.continual.batch import Batch, Output, Step
from seamwise.continual.strategy import State

PREFIX = "teacher."


class Teacher:
    """A frozen copy of a model: in eval mode, so that it draws nothing at random and keeps its statistics.

    What is saved are weights and buffers; after a resume the network itself is copied from the live model.
    """

    def __init__(self) -> None:
        self.network: nn.Module | None = None
        self.saved: dict[str, Tensor] = {}  # loaded, but no network is there yet

    def copy(self, model: nn.Module) -> None:
        """Takes the model as it stands."""
        self.forget()
        self._built(model)

    def forget(self) -> None:
        self.network, self.saved = None, {}

    @torch.no_grad()
    def answer(self, step: Step, features: bool = False) -> Output:
        """What the model as it was says about the step's batch; it is copied now if nobody did before."""
        if step.objective is None or step.batch is None or step.output is None:
            raise ValueError("distillation needs the batch and the answer: Step(model, objective, batch, output)")
        return step.objective.forward(self._built(step.model), step.batch, features)

    def _built(self, model: nn.Module) -> nn.Module:
        """The copy; made of the live model where there is none, with the weights that were loaded."""
        if self.network is None:
            network = copy.deepcopy(model).eval().requires_grad_(False)
            if self.saved:
                network.load_state_dict(self.saved)
            self.network, self.saved = network, {}
        return self.network

    def state_dict(self) -> State:
        weights = self.saved if self.network is None else self.network.state_dict()
        return {f"{PREFIX}{name}": value for name, value in weights.items()}

    def load_state_dict(self, state: State) -> None:
        self.forget()
        self.saved = {n.removeprefix(PREFIX): v.detach().clone() for n, v in state.items() if n.startswith(PREFIX)}


def batch_total(terms: Tensor, batch: Batch) -> Tensor:
    """Terms (N, ...) as one scalar, reduced as the task's loss is: mean over pixels, then the samples' weights."""
    each = terms.flatten(1).mean(1) if terms.ndim > 1 else terms
    return (each * batch.weight).sum()
