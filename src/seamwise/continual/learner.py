"""The training loop: takes a model through a stream, one optimizer step at a time, and can stop and go on anywhere."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.optim import Adam, Optimizer

from seamwise.continual.batch import Batch, Step
from seamwise.continual.draw import Draw
from seamwise.continual.objective import Objective
from seamwise.continual.optimizers import build_optimizer, load_optimizer_state, optimizer_state
from seamwise.continual.si import SynapticIntelligence
from seamwise.continual.single_pass import SinglePass
from seamwise.continual.strategy import Phase, Strategy
from seamwise.continual.stream import Augment, Experience, Stream
from seamwise.continual.tensors import clip_gradients
from seamwise.continual.training import Training

FINITE_CHECK_STEPS = 50  # looking at a number on an accelerator waits for it, so not at every step


class DivergenceError(RuntimeError):
    """The loss is no longer a number."""


class MismatchError(ValueError):
    """A checkpoint does not fit this learner: another network, settings or machine."""


@dataclass
class Position:
    """Where in the stream a learner stands: so many steps of this phase of this experience are done."""

    experience: int = 0
    phase: int = 0
    step: int = 0
    begun: bool = False


@dataclass(frozen=True)
class Progress:
    """What `fit` yields. kind "step": an optimizer step was taken; "consolidated": the experience is over.

    loss is a tensor on the model's device, not yet waited for.
    """

    kind: Literal["step", "consolidated"]
    experience: Experience
    phase: str
    step: int
    steps: int
    loss: Tensor | None


class Learner:
    """Takes `model` through a stream with a strategy.

    Everything drawn is a function of `seed` and the place in the stream, so that a learner restored from
    `state_dict()` goes on bit for bit as if it had never stopped. compiled: SI and Adam in one compiled pass
    (`SinglePass`), which is faster for small and wide networks and rounds differently; needs a C++ compiler.
    """

    def __init__(
        self,
        model: nn.Module,
        strategy: Strategy,
        objective: Objective,
        training: Training | None = None,
        *,
        seed: int = 0,
        augment: Augment | None = None,
        device: torch.device | str = "cpu",
        compiled: bool = False,
    ) -> None:
        self.model = model.to(device)
        self.strategy, self.objective, self.augment = strategy, objective, augment
        self.training = training or Training()
        self.device = torch.device(device)
        self.seed, self.draw = seed, Draw(("seamwise", seed))
        self.position = Position()
        self.optimizer: Optimizer | None = None
        self.compiled = compiled
        self._single_pass: SinglePass | None = None
        self._finite: Tensor | bool = True
        self._order: tuple[tuple[int, int, int], Tensor] | None = None
        strategy.seed(self.draw.of("strategy"))

    def fit(self, stream: Stream) -> Iterator[Progress]:
        """Learns every experience from the current position on; a generator, so that the caller holds the reins.

        Torch's global random state is set anew before every forward pass (dropout draws from it).
        """
        while self.position.experience < len(stream):
            yield from self._learn(stream[self.position.experience])

    def _learn(self, experience: Experience) -> Iterator[Progress]:
        if not self.position.begun:
            self.strategy.grow(self.model, experience)
            self._build_optimizer()
            self.strategy.begin(self.model, experience)
            self.position.begun = True
        elif self.optimizer is None:
            self._build_optimizer()
        self._set_mode(experience)
        loss: Tensor | None = None
        phases = self.strategy.phases(experience)
        for phase in phases[self.position.phase :]:
            steps = self._count_steps(experience, phase)
            while self.position.step < steps:
                loss = self._step(experience, steps)
                self.position.step += 1
                yield Progress("step", experience, phase.name, self.position.step, steps, loss)
            self.position.phase, self.position.step = self.position.phase + 1, 0
        self._check_finite()
        self._check_weights()
        self.strategy.consolidate(self.model, self.objective, experience)
        self.strategy.merge(self.model, experience)
        self._warn_if_stiff()
        self.position = Position(self.position.experience + 1)
        yield Progress("consolidated", experience, "consolidated", 0, 0, loss)

    def _step(self, experience: Experience, steps: int) -> Tensor:
        at = self.position
        draw = self.draw.of(experience.index, at.phase, at.step)
        batch = self.strategy.extend(self._batch(experience))
        if self.augment is not None:
            batch = self.augment(batch, draw.of("augment"))
        batch = batch.to(self.device)
        self._seed_dropout(draw)
        assert self.optimizer is not None
        lr = self.training.lr_at(at.step, steps)
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        self.model.zero_grad(set_to_none=True)  # of all: what was frozen meanwhile must not count in clipping
        with torch.autocast(self.device.type, torch.bfloat16) if self.training.bf16 else nullcontext():
            output = self.objective.forward(self.model, batch, self.strategy.wants_features)
            loss = (self.objective.loss(output, batch) * batch.weight).sum()
            step = Step(self.model, self.objective, batch, output, experience, lr)
            extra = self.strategy.extra_loss(step)
        self._backward(loss, extra, step)
        if self._single_pass is not None:
            self._single_pass(self.model)
        else:
            self.strategy.adjust(step)
            if self.training.clip is not None:
                clip_gradients(list(self.model.parameters()), self.training.clip)
            self.optimizer.step()
            self.strategy.after_step(step)
        loss = loss.detach()
        if self.device.type == "cpu":  # to look costs nothing here; elsewhere it would wait for the device
            self._finite = math.isfinite(loss.item())
        else:
            self._finite = loss.isfinite() & self._finite
        if self._finite is False or at.step % FINITE_CHECK_STEPS == 0:
            self._check_finite()
        return loss

    def _backward(self, loss: Tensor, extra: Tensor | None, step: Step) -> None:
        """Task gradient first and shown alone; a second backward only where a strategy looks and extra terms exist."""
        if extra is None or not extra.requires_grad or not self.strategy.observes:
            (loss if extra is None else loss + extra).backward()  # type: ignore[no-untyped-call]
            self.strategy.observe(step)
            return
        loss.backward(retain_graph=True)  # type: ignore[no-untyped-call]
        self.strategy.observe(step)
        params = [p for p in self.model.parameters() if p.requires_grad]
        for p, gradient in zip(params, torch.autograd.grad(extra, params, allow_unused=True), strict=True):
            if gradient is not None:  # never in place: it was observed; in the parameter's layout: fused Adam needs it
                own = torch.empty_like(p, requires_grad=False).copy_(gradient)
                p.grad = own if p.grad is None else p.grad + own

    def _batch(self, experience: Experience) -> Batch:
        size, total = self.training.batch_size, len(experience.train)
        epoch, place = divmod(self.position.step, self._per_epoch(experience))
        key = (experience.index, self.position.phase, epoch)
        if self._order is None or self._order[0] != key:
            generator = self.draw.of("order", *key).generator()
            self._order = (key, torch.randperm(total, generator=generator))
        rows = self._order[1][place * size : (place + 1) * size]
        return experience.train.batch(rows, self.draw.of("data", *key))

    def _per_epoch(self, experience: Experience) -> int:
        return math.ceil(len(experience.train) / self.training.batch_size)

    def _count_steps(self, experience: Experience, phase: Phase) -> int:
        if len(experience.train) == 0:
            raise ValueError(f"experience {experience.name!r} has no training samples")
        own = self.training.steps if phase.steps is None else phase.steps
        return self._per_epoch(experience) * self.training.epochs if own is None else own

    def _seed_dropout(self, draw: Draw) -> None:
        """Dropout draws from torch's own generator: set from the step's key, there is no state to save."""
        seed = draw.of("dropout").seed
        torch.default_generator.manual_seed(seed)
        if self.device.type == "cuda":
            torch.cuda.manual_seed(seed)

    def _set_mode(self, experience: Experience) -> None:
        self.model.train()
        if self.training.batchnorm == "freeze" and experience.index > 0:
            for module in self.model.modules():
                if isinstance(module, _BatchNorm):
                    module.eval()

    def _build_optimizer(self) -> Optimizer:
        old = self.optimizer
        t = self.training
        params = [p for p in self.model.parameters() if p.requires_grad]
        self.optimizer = build_optimizer(t.optimizer, params, t.lr, t.weight_decay, t.momentum, fused=t.fused)
        if old is not None and (t.keep_optimizer or t.keep_step_count):
            state = optimizer_state(old, self.model)
            if t.keep_step_count:
                state = {k: v if k.startswith("step.") else torch.zeros_like(v) for k, v in state.items()}
            load_optimizer_state(self.optimizer, self.model, state)
        if self.compiled:
            self._single_pass = self._build_single_pass(self.optimizer)
        return self.optimizer

    def _build_single_pass(self, optimizer: Optimizer) -> SinglePass:
        fits = isinstance(self.strategy, SynapticIntelligence) and isinstance(optimizer, Adam)
        if not fits or self.training.clip is not None or self.device.type != "cpu":
            raise ValueError("compiled is for SynapticIntelligence alone with Adam on a CPU, without clipping")
        return SinglePass(self.strategy, optimizer)  # type: ignore[arg-type]

    def _check_finite(self) -> None:
        if not bool(self._finite):
            raise DivergenceError(
                f"the loss is no longer a number (experience {self.position.experience}, step {self.position.step}): "
                "lower the learning rate or the strength of the penalty, or set a gradient clip"
            )

    def _check_weights(self) -> None:
        """The loss is looked at before a step: what the last one did shows in the weights alone."""
        norms = torch._foreach_norm([p.detach() for p in self.model.parameters()])
        self._finite = all(bool(norm.isfinite()) for norm in norms)
        self._check_finite()

    def _warn_if_stiff(self) -> None:
        stiff, limit = self.training.lr * self.strategy.stiffness, 2 * (1 + self.training.momentum)
        if self.training.optimizer == "sgd" and stiff > limit:
            warnings.warn(
                f"lr * penalty curvature is {stiff:.3g} > {limit:.3g}: SGD will diverge; "
                'lower lr or the strength, or use the proximal pull (SI: pull="proximal")',
                stacklevel=2,
            )

    def state_dict(self) -> dict[str, Any]:
        """Everything needed to go on: flat groups of tensors and JSON values.

        The tensors are the live ones: write or copy them before the next step.
        """
        self._check_finite()
        return {
            "position": asdict(self.position),
            "environment": self.environment(),
            "seed": self.seed,
            "settings": self.strategy.settings,
            "training": self.training.values(),
            "model": dict(self.model.state_dict()),
            "frozen": [name for name, p in self.model.named_parameters() if not p.requires_grad],
            "strategy": self.strategy.state_dict(),
            "optimizer": {} if self.optimizer is None else optimizer_state(self.optimizer, self.model),
        }

    def load_state_dict(self, state: dict[str, Any], *, allow_other_machine: bool = False) -> None:
        """Takes over a state by copy. Raises MismatchError where going on would not be the same run."""
        theirs, mine = state["training"], self.training.values()
        if theirs != mine:
            names = sorted(name for name in {*theirs, *mine} if theirs.get(name) != mine.get(name))
            raise MismatchError(f"the checkpoint was trained with other settings: {', '.join(names)}")
        if state["seed"] != self.seed:
            raise MismatchError(f"the checkpoint was trained with seed {state['seed']}, not {self.seed}")
        if state["settings"] != self.strategy.settings:
            raise MismatchError(f"the checkpoint's strategy was {state['settings']}, this is {self.strategy.settings}")
        here = self.environment()
        there = state["environment"]
        other = {k: (there.get(k), here.get(k)) for k in {**there, **here} if there.get(k) != here.get(k)}
        if other and not allow_other_machine:
            differ = ", ".join(f"{name}: {then} then, {now} now" for name, (then, now) in other.items())
            raise MismatchError(f"going on would not be bit for bit the same run ({differ}); allow it explicitly")
        self._load_model(state["model"])
        if "frozen" in state:  # a strategy may have frozen or freed some as the model grew
            for name, p in self.model.named_parameters():
                p.requires_grad_(name not in state["frozen"])
        self.position = Position(**state["position"])
        self.strategy.load_state_dict(state["strategy"])
        self.optimizer, self._order = None, None
        self._finite = True
        if state["optimizer"]:
            load_optimizer_state(self._build_optimizer(), self.model, state["optimizer"])

    def _load_model(self, weights: dict[str, Tensor]) -> None:
        own = self.model.state_dict()
        wrong = [n for n in {*own, *weights} if n not in own or n not in weights or own[n].shape != weights[n].shape]
        if wrong:
            raise MismatchError(f"the checkpoint is of another network: {', '.join(sorted(wrong)[:3])} differ")
        self.model.load_state_dict(weights)

    def environment(self) -> dict[str, str | int | bool]:
        """What bit-for-bit equality depends on beside the seed."""
        return {
            "torch": str(torch.__version__),
            "device": self.device.type,
            "instructions": torch.backends.cpu.get_cpu_capability(),
            "threads": torch.get_num_threads(),
            "fused": self.training.fused,
            **({"compiled": True} if self.compiled else {}),
        }
