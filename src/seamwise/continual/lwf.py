"""Learning without Forgetting (Li and Hoiem, ECCV 2016): on the new data, go on answering as the old model does.

paper       here             meaning
lambda_o    strength         weight of the old tasks' loss beside the new task's
T           temperature      softens the answers: probabilities to the power 1/T, made to sum to one again
y'_o        theirs           the old model's answer on the current batch, softened
y^'_o       mine             the learning model's, softened

Each old head adds the cross-entropy -sum_k y'_o log y^'_o over its classes, the paper's distillation loss; the heads
are summed. A sample's term counts as its task loss does: mean over pixels, weighted mean over the batch. There is no
factor T^2, as in the paper; Hinton et al. (2015) put it so that the gradient, which shrinks with T^2, keeps its size:
strength = T^2 gives their weighting.

Departures: the answers are computed step by step instead of recorded once, since samples are augmented anew each time;
there is no warm-up of the new head alone.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from seamwise.continual.batch import Step
from seamwise.continual.known import KnownClasses
from seamwise.continual.objective import Objective, at_least_float32
from seamwise.continual.strategy import State, Strategy
from seamwise.continual.stream import Experience
from seamwise.continual.teacher import Teacher, batch_total


@dataclass(eq=False)
class LearningWithoutForgetting(Strategy):
    """Keeps the answers of the model as the experience found it; stores no data.

    strength: lambda_o. temperature: T.
    """

    strength: float = 1.0
    temperature: float = 2.0
    known: KnownClasses = field(default_factory=KnownClasses, init=False)
    teacher: Teacher = field(default_factory=Teacher, init=False)

    def __post_init__(self) -> None:
        if not (self.strength >= 0 and self.temperature > 0):
            raise ValueError(f"strength must be >= 0 and temperature > 0, not {self.strength}, {self.temperature}")

    def begin(self, model: nn.Module, experience: Experience | None = None) -> None:
        if self.strength and self.known:
            self.teacher.copy(model)

    def extra_loss(self, step: Step) -> Tensor | None:
        if self.strength == 0 or not self.known:
            return None
        theirs = self.teacher.answer(step).raw
        assert step.objective is not None
        assert step.batch is not None
        assert step.output is not None
        mine = step.output.raw
        if mine is None or theirs is None:
            raise ValueError("distillation needs the logits before the mask: let the objective fill Output.raw")
        heads = self.known.heads(step.objective.mask, mine.shape[1])
        terms = [self._distillation(_outputs(mine, ids), _outputs(theirs, ids)) for ids in heads]
        return self.strength * batch_total(torch.stack(terms).sum(0), step.batch)

    def _distillation(self, mine: Tensor, theirs: Tensor) -> Tensor:
        """Cross-entropy (N, ...) between the softened answers of one head, logits (N, k, ...)."""
        log_p = torch.log_softmax(at_least_float32(mine) / self.temperature, dim=1)
        return -(torch.softmax(at_least_float32(theirs) / self.temperature, dim=1) * log_p).sum(1)

    def consolidate(
        self, model: nn.Module, objective: Objective | None = None, experience: Experience | None = None
    ) -> None:
        self.known.add(experience)
        self.teacher.forget()

    def state_dict(self) -> State:
        return {**self.known.state_dict(), **self.teacher.state_dict()}

    def load_state_dict(self, state: State) -> None:
        self.known.load_state_dict(state)
        self.teacher.load_state_dict(state)


def _outputs(logits: Tensor, classes: tuple[int, ...]) -> Tensor:
    """The logits (N, K, ...) of some classes (N, k, ...)."""
    if len(classes) == logits.shape[1]:
        return logits
    return logits.index_select(1, torch.tensor(classes, device=logits.device))
