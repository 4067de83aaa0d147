"""Less-forgetting Learning (Jung et al. 2016): the last hidden activations stay close to what they were.

paper       here          meaning
lambda_e    strength      weight of  1/2 |f_new(x) - f_old(x)|^2, summed over the units, mean over the batch
f           features      last hidden activations; of maps, the mean over positions instead of their sum

The output layer is frozen from the second experience on, as in the paper, so that old boundaries hold in a feature
space that hardly moves. The paper knows one set of classes. Here an output that no earlier experience could answer (a
new head, a new class) still learns: of a layer with one row an output, only the old rows are frozen. A layer without
such rows is frozen as a whole. What others do to frozen rows (weight decay, momentum kept from before, another
strategy's pull) is undone after the step.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from seamwise.continual.batch import Output, Step
from seamwise.continual.features import output_layer
from seamwise.continual.known import KnownClasses
from seamwise.continual.objective import ClassMask, Objective, at_least_float32
from seamwise.continual.strategy import State, Strategy
from seamwise.continual.stream import Experience
from seamwise.continual.teacher import Teacher, batch_total


@dataclass(eq=False)
class LessForgettingLearning(Strategy):
    """Keeps the features of the model as the experience found it; stores no data.

    The network must show its last hidden activations (see `features.py`). strength: lambda_e; its scale depends on the
    number and size of the features; 0 is plain finetuning, nothing frozen. freeze_head: freeze the output layer.
    """

    strength: float = 0.1
    freeze_head: bool = True
    known: KnownClasses = field(default_factory=KnownClasses, init=False)
    teacher: Teacher = field(default_factory=Teacher, init=False)
    head: dict[str, Tensor | None] | None = field(default=None, init=False)  # see `_head`
    fixed: dict[str, Tensor] = field(default_factory=dict, init=False)  # the head as it is to stay

    def __post_init__(self) -> None:
        if not self.strength >= 0:
            raise ValueError(f"strength must be >= 0, not {self.strength}")

    @property
    def wants_features(self) -> bool:
        return bool(self.strength and self.known)

    def begin(self, model: nn.Module, experience: Experience | None = None) -> None:
        if self.wants_features:
            self.teacher.copy(model)
        self.head, self.fixed = None, {}

    def extra_loss(self, step: Step) -> Tensor | None:
        if not self.wants_features:
            return None
        theirs = self.teacher.answer(step, features=True).features
        assert step.objective is not None
        assert step.batch is not None
        assert step.output is not None
        mine = step.output.features
        if mine is None or theirs is None:
            raise ValueError(
                "LFL compares hidden activations: let objective.forward(model, batch, features=True) fill them in"
            )
        if self.freeze_head and self.head is None:
            self.head = self._head(step.model, step.output, step.objective.mask)
            self.fixed = {n: p.detach().clone() for n, p in step.model.named_parameters() if n in self.head}
        away = at_least_float32(mine) - at_least_float32(theirs)
        return self.strength * batch_total(0.5 * away.square().sum(1), step.batch)

    def _head(self, model: nn.Module, output: Output, mask: ClassMask) -> dict[str, Tensor | None]:
        """The output layer's parameters by name, with a factor that is 0 for frozen rows; None: all of it is frozen."""
        assert output.raw is not None
        assert output.features is not None
        outputs = output.raw.shape[1]
        old = sorted({k for ids in self.known.heads(mask, outputs) for k in ids})
        moves = torch.ones(outputs, device=output.raw.device)
        moves[old] = 0
        layer = output_layer(output.raw, output.features)
        head: dict[str, Tensor | None] = {}
        for name, p in model.named_parameters():
            if p in layer:
                in_rows = len(old) < outputs and p.shape[:1] == (outputs,)
                head[name] = moves.to(p.dtype).view(-1, *(1 for _ in p.shape[1:])) if in_rows else None
        return head

    @torch.no_grad()
    def adjust(self, step: Step) -> None:
        if self.head:
            for name, p in step.model.named_parameters():
                if name in self.head and p.grad is not None:
                    moves = self.head[name]
                    p.grad = None if moves is None else p.grad * moves

    @torch.no_grad()
    def after_step(self, step: Step) -> None:
        for name, p in step.model.named_parameters() if self.head else ():
            if name in self.fixed:
                moves = self.head[name] if self.head else None
                p.copy_(self.fixed[name] if moves is None else torch.where(moves == 0, self.fixed[name], p))

    def consolidate(
        self, model: nn.Module, objective: Objective | None = None, experience: Experience | None = None
    ) -> None:
        self.known.add(experience)
        self.teacher.forget()
        self.head, self.fixed = None, {}

    def state_dict(self) -> State:
        return {**self.known.state_dict(), **self.teacher.state_dict()}

    def load_state_dict(self, state: State) -> None:
        self.known.load_state_dict(state)
        self.teacher.load_state_dict(state)
        self.head, self.fixed = None, {}
