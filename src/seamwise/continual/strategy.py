"""A continual-learning method as a plain object of moments; the training loop calls them in this order.

A strategy owns no loop and no optimizer, so it also works in a loop of one's own (see `examples/own_loop.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args, get_origin, get_type_hints

from torch import Tensor, nn

from seamwise.continual.batch import Batch, Step
from seamwise.continual.draw import Draw
from seamwise.continual.objective import Objective
from seamwise.continual.stream import Experience

State = dict[str, Any]  # flat; tensors and JSON values only


@dataclass(frozen=True)
class Phase:
    """A stretch of training within an experience. steps: None means the learner's own number."""

    name: str = "learn"
    steps: int | None = None


class Strategy:
    """Every moment does nothing; as it stands this is finetuning, the reference that forgets."""

    def seed(self, draw: Draw) -> None:
        """Where the strategy's random numbers come from; called once by the learner."""

    def grow(self, model: nn.Module, experience: Experience | None = None) -> None:
        """May add or freeze modules; runs for all strategies before any begins, and before the optimizer is built."""

    def phases(self, experience: Experience) -> Sequence[Phase]:
        """The stretches of training this experience needs; none means that nothing is learned."""
        return (Phase(),)

    def begin(self, model: nn.Module, experience: Experience | None = None) -> None:
        """Takes snapshots of the model as the experience finds it."""

    def extend(self, batch: Batch) -> Batch:
        """May add remembered samples, raw: augmentation comes after."""
        return batch

    def extra_loss(self, step: Step) -> Tensor | None:
        """A scalar loss beside the task's, such as distillation."""
        return None

    def observe(self, step: Step) -> None:
        """`p.grad` is the gradient of the task loss alone: look, do not touch."""

    def adjust(self, step: Step) -> None:
        """May replace `p.grad` before the optimizer reads it. Replace, never write in place."""

    def after_step(self, step: Step) -> None:
        """The optimizer has moved the parameters."""

    def consolidate(
        self, model: nn.Module, objective: Objective | None = None, experience: Experience | None = None
    ) -> None:
        """The experience is over: reads the model and its data into memory (importances, samples)."""

    def merge(self, model: nn.Module, experience: Experience | None = None) -> None:
        """May write the model's weights; runs after every strategy has consolidated."""

    def state_dict(self) -> State:
        """All that is needed to go on, flat, by parameter name. None of it shares memory with a parameter."""
        return {}

    def load_state_dict(self, state: State) -> None:
        """Takes the state over by copy."""

    def check_choices(self) -> None:
        """Raises ValueError for a setting that is none of the words its type names."""
        for name, kind in get_type_hints(type(self)).items():
            if get_origin(kind) is Literal and getattr(self, name) not in get_args(kind):
                choices = ", ".join(map(str, get_args(kind)))
                raise ValueError(f"{name} must be one of {choices}, not {getattr(self, name)!r}")

    @property
    def settings(self) -> State:
        """Kind and hyper-parameters as JSON values: what a saved state must share to be taken over."""
        chosen = {name: getattr(self, name) for name, f in getattr(self, "__dataclass_fields__", {}).items() if f.init}
        return {"kind": type(self).__name__, **chosen}

    @property
    def observes(self) -> bool:
        """Whether the gradient of the task loss must be shown apart from that of extra terms."""
        return type(self).observe is not Strategy.observe

    @property
    def wants_features(self) -> bool:
        """Whether the forward pass must show the last hidden activations, `Output.features`."""
        return False

    @property
    def stiffness(self) -> float:
        """Largest second derivative of a closed-form penalty (0: none): SGD diverges above 2 (1 + momentum) / lr."""
        return 0.0


class Frozen(Strategy):
    """Learns the first experience and never moves again: the reference that forgets nothing and learns nothing."""

    def phases(self, experience: Experience) -> Sequence[Phase]:
        return (Phase(),) if experience.index == 0 else ()


class Chain(Strategy):
    """Several strategies as one: each moment runs for all, in order, before the next moment runs for any."""

    def __init__(self, *strategies: Strategy) -> None:
        self.strategies = strategies

    def seed(self, draw: Draw) -> None:
        for strategy in self.strategies:
            strategy.seed(draw)

    def grow(self, model: nn.Module, experience: Experience | None = None) -> None:
        for strategy in self.strategies:
            strategy.grow(model, experience)

    def phases(self, experience: Experience) -> Sequence[Phase]:
        plans = [strategy.phases(experience) for strategy in self.strategies] or [(Phase(),)]
        if any(not plan for plan in plans):
            return ()
        special = [plan for plan in plans if tuple(plan) != (Phase(),)]
        if len(special) > 1:
            raise ValueError("two strategies of a chain ask for phases of their own; chain only one such strategy")
        return special[0] if special else plans[0]

    def begin(self, model: nn.Module, experience: Experience | None = None) -> None:
        for strategy in self.strategies:
            strategy.begin(model, experience)

    def extend(self, batch: Batch) -> Batch:
        for strategy in self.strategies:
            batch = strategy.extend(batch)
        return batch

    def extra_loss(self, step: Step) -> Tensor | None:
        terms = [term for strategy in self.strategies if (term := strategy.extra_loss(step)) is not None]
        if not terms:
            return None
        total = terms[0]
        for term in terms[1:]:
            total = total + term
        return total

    def observe(self, step: Step) -> None:
        for strategy in self.strategies:
            strategy.observe(step)

    def adjust(self, step: Step) -> None:
        for strategy in self.strategies:
            strategy.adjust(step)

    def after_step(self, step: Step) -> None:
        for strategy in self.strategies:
            strategy.after_step(step)

    def consolidate(
        self, model: nn.Module, objective: Objective | None = None, experience: Experience | None = None
    ) -> None:
        for strategy in self.strategies:
            strategy.consolidate(model, objective, experience)

    def merge(self, model: nn.Module, experience: Experience | None = None) -> None:
        for strategy in self.strategies:
            strategy.merge(model, experience)

    def state_dict(self) -> State:
        return {
            f"{place}/{name}": value
            for place, strategy in enumerate(self.strategies)
            for name, value in strategy.state_dict().items()
        }

    def load_state_dict(self, state: State) -> None:
        for place, strategy in enumerate(self.strategies):
            head = f"{place}/"
            strategy.load_state_dict({n.removeprefix(head): v for n, v in state.items() if n.startswith(head)})

    @property
    def settings(self) -> State:
        return {"kind": "Chain", "strategies": [strategy.settings for strategy in self.strategies]}

    @property
    def observes(self) -> bool:
        return any(strategy.observes for strategy in self.strategies)

    @property
    def wants_features(self) -> bool:
        return any(strategy.wants_features for strategy in self.strategies)

    @property
    def stiffness(self) -> float:
        return sum(strategy.stiffness for strategy in self.strategies)
