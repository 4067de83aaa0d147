"""A learner that stops anywhere and is rebuilt from its state goes on bit for bit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
import torch

from seamwise.continual import (
    Chain,
    Classification,
    DivergenceError,
    Finetuning,
    GradientEpisodicMemory,
    Learner,
    LearningWithoutForgetting,
    LessForgettingLearning,
    MismatchError,
    OnlineEWC,
    PerTaskEWC,
    Replay,
    Step,
    Strategy,
    SynapticIntelligence,
    Training,
    undisturbed,
)
from seamwise.continual.stream import Augment, Experience
from tests.continual.problems import (
    Pixels,
    SmallerWeights,
    ThreePhases,
    assert_identical,
    class_stream,
    everything,
    flip,
    heads,
    learn,
    mask_stream,
    mlp,
    through_disk,
    tiny_unet,
)


@dataclass
class Case:
    """A run and how to set it up anew."""

    strategy: Callable[[], Strategy]
    training: Training = field(default_factory=lambda: Training(batch_size=3, epochs=2, lr=0.01))
    augment: Augment | None = None
    pictures: bool = True

    def learner(self) -> Learner:
        model, objective = (tiny_unet(), Pixels()) if self.pictures else (mlp(), heads())
        return Learner(model, self.strategy(), objective, self.training, seed=11, augment=self.augment)

    def stream(self) -> list[Experience]:
        return mask_stream() if self.pictures else class_stream(samples=7)


FAST = Training(batch_size=3, epochs=2, lr=0.01)
CASES = {
    "finetuning": Case(Finetuning),
    "si": Case(lambda: SynapticIntelligence(c=1.0)),
    "si proximal": Case(lambda: SynapticIntelligence(c=1.0, pull="proximal"), replace(FAST, schedule="cosine")),
    "si unfused": Case(lambda: SynapticIntelligence(c=1.0), replace(FAST, fused=False)),
    "si sgd": Case(lambda: SynapticIntelligence(c=1.0), replace(FAST, optimizer="sgd", clip=0.5)),
    "si from zero, kept optimizer": Case(
        lambda: SynapticIntelligence(c=1.0, first_reference="zero"), replace(FAST, keep_optimizer=True)
    ),
    "ewc": Case(lambda: OnlineEWC(strength=50.0, samples=3), replace(FAST, optimizer="adamw", weight_decay=0.1)),
    "replay": Case(lambda: Replay(5), augment=flip),
    "online replay": Case(lambda: Replay(5, policy="reservoir", online=True, share=0.5), augment=flip),
    "ewc per task": Case(lambda: PerTaskEWC(strength=50.0, samples=3)),
    "lwf": Case(lambda: LearningWithoutForgetting(2.0), augment=flip),
    "lwf bf16, si": Case(
        lambda: Chain(LearningWithoutForgetting(2.0), SynapticIntelligence(c=1.0)), replace(FAST, bf16=True, steps=4)
    ),
    "lwf heads": Case(lambda: Chain(Replay(6), LearningWithoutForgetting(2.0)), FAST, pictures=False),
    "lfl": Case(lambda: LessForgettingLearning(1.0), replace(FAST, keep_optimizer=True)),
    "lfl heads": Case(lambda: Chain(SynapticIntelligence(c=1.0), LessForgettingLearning(1.0)), FAST, pictures=False),
    "lfl bf16": Case(lambda: LessForgettingLearning(1.0), replace(FAST, bf16=True, steps=4)),
    "gem": Case(lambda: GradientEpisodicMemory(4, samples=2), replace(FAST, clip=0.5), flip),
    "all together": Case(
        lambda: Chain(Replay(4), SynapticIntelligence(c=1.0), OnlineEWC(samples=2), SmallerWeights()),
        replace(FAST, schedule="cosine", warmup=0.3, keep_optimizer=True, clip=1.0),
        flip,
    ),
    "phases": Case(lambda: Chain(ThreePhases(), SynapticIntelligence(c=1.0)), replace(FAST, schedule="cosine")),
    "phases sgd": Case(
        lambda: Chain(ThreePhases(), Replay(4)), replace(FAST, optimizer="sgd", keep_optimizer=True), flip
    ),
    "bf16": Case(lambda: SynapticIntelligence(c=1.0), replace(FAST, bf16=True, steps=4)),
    "frozen statistics": Case(lambda: SynapticIntelligence(c=1.0), replace(FAST, batchnorm="freeze")),
    "heads": Case(lambda: Chain(Replay(6), SynapticIntelligence(c=1.0)), FAST, pictures=False),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_stopping_anywhere_changes_nothing(case: Case) -> None:
    whole = case.learner()
    events = learn(whole, case.stream())
    expected = everything(whole)
    per_experience = events // 2
    # The start, mid-epoch, an epoch's end, the last step, right after an end, in the second experience, all done.
    stops = {0, 2, 3, per_experience - 1, per_experience, per_experience + 1, events - 2, events}
    generator = torch.Generator().manual_seed(len(expected))
    stops |= set(torch.randint(1, events, (2,), generator=generator).tolist())
    for stop in sorted(stops):
        first = case.learner()
        learn(first, case.stream(), stop)
        state = through_disk(first.state_dict())
        torch.manual_seed(stop)  # a new process has drawn other numbers before
        torch.randn(3)
        second = case.learner()
        second.load_state_dict(state)
        assert learn(second, case.stream()) == events - stop
        assert_identical(everything(second), expected)


def test_stopping_at_the_end_of_a_phase() -> None:
    case = CASES["phases"]
    whole = case.learner()
    learn(whole, case.stream())
    first = case.learner()
    for progress in first.fit(case.stream()):
        if progress.experience.index == 1 and progress.step == progress.steps:
            break
    assert (first.position.phase, first.position.step) == (0, 2)
    second = case.learner()
    second.load_state_dict(through_disk(first.state_dict()))
    learn(second, case.stream())
    assert_identical(everything(second), everything(whole))


def test_a_state_taken_on_the_way_does_not_change_the_way() -> None:
    case = CASES["all together"]
    whole, watched = case.learner(), case.learner()
    learn(whole, case.stream())
    for _ in watched.fit(case.stream()):
        watched.state_dict()
    assert_identical(everything(watched), everything(whole))


def test_evaluation_between_steps_does_not_change_the_way() -> None:
    case = CASES["all together"]
    whole, watched = case.learner(), case.learner()
    learn(whole, case.stream())
    pictures = torch.randn(2, 2, 8, 8)
    for _ in watched.fit(case.stream()):
        with undisturbed(watched.model):
            watched.model(pictures)  # in train mode: draws for dropout, updates statistics
            watched.model.eval()
            watched.model(pictures)
    assert_identical(everything(watched), everything(whole))


def test_the_layout_of_the_weights_survives() -> None:
    case = CASES["si"]
    first = case.learner()
    learn(first, case.stream(), 4)
    second = case.learner()
    second.load_state_dict(through_disk(first.state_dict()))
    learn(second, case.stream(), 1)
    assert second.model.down.weight.is_contiguous(memory_format=torch.channels_last)
    assert not second.model.down.weight.is_contiguous()
    assert isinstance(second.strategy, SynapticIntelligence)
    for p, *tensors in second.strategy.bound:
        assert {t.stride() for t in tensors} == {p.stride()}
    assert second.optimizer is not None
    for p, moments in second.optimizer.state.items():
        assert moments["exp_avg"].stride() == p.stride()


def test_the_layout_matters() -> None:
    """The network really has weights whose memory order differs from that of a file."""
    strides = {p.stride() != p.contiguous().stride() for p in tiny_unet().parameters()}
    assert True in strides


def test_another_seed_is_another_run() -> None:
    case = CASES["finetuning"]
    one, two = case.learner(), Learner(tiny_unet(), Finetuning(), Pixels(), case.training, seed=12)
    learn(one, case.stream())
    learn(two, case.stream())
    assert not torch.equal(one.model.down.weight, two.model.down.weight)


def saved() -> dict[str, Any]:
    learner = Learner(mlp(), SynapticIntelligence(), heads(), Training(batch_size=4))
    learn(learner, class_stream(), 3)
    state: dict[str, Any] = through_disk(learner.state_dict())
    return state


def test_other_settings_are_refused() -> None:
    learner = Learner(mlp(), SynapticIntelligence(), heads(), Training(batch_size=8, lr=0.5))
    with pytest.raises(MismatchError, match="other settings: batch_size, lr"):
        learner.load_state_dict(saved())


def test_another_strategy_is_refused_before_anything_is_loaded() -> None:
    learner = Learner(mlp(), SynapticIntelligence(c=2.0), heads(), Training(batch_size=4), seed=0)
    before = {name: value.clone() for name, value in learner.model.state_dict().items()}
    for other in (SynapticIntelligence(c=1.0), Finetuning()):
        state = Learner(mlp(), other, heads(), Training(batch_size=4), seed=0).state_dict()
        with pytest.raises(MismatchError, match="strategy"):
            learner.load_state_dict(state)
    assert all(torch.equal(value, before[name]) for name, value in learner.model.state_dict().items())


def test_another_seed_is_refused() -> None:
    learner = Learner(mlp(), SynapticIntelligence(), heads(), Training(batch_size=4), seed=1)
    with pytest.raises(MismatchError, match="seed 0, not 1"):
        learner.load_state_dict(saved())


@pytest.mark.parametrize("hidden", [7, 9])
def test_another_network_is_refused(hidden: int) -> None:
    learner = Learner(mlp(hidden=hidden), SynapticIntelligence(), heads(), Training(batch_size=4))
    before = through_disk(dict(learner.model.state_dict()))
    with pytest.raises(MismatchError, match=r"another network: 0\.bias, 0\.weight, 2\.weight differ"):
        learner.load_state_dict(saved())
    assert_identical(dict(learner.model.state_dict()), before)


def test_a_deeper_network_is_refused() -> None:
    model = torch.nn.Sequential(*mlp(), torch.nn.Linear(6, 6))
    with pytest.raises(MismatchError, match=r"3\.bias"):
        Learner(model, SynapticIntelligence(), heads(), Training(batch_size=4)).load_state_dict(saved())


@pytest.mark.parametrize(
    ("what", "then"), [("threads", 64), ("instructions", "NO AVX"), ("torch", "1.0"), ("device", "cuda"), ("cores", 3)]
)
def test_another_machine_is_refused_unless_allowed(what: str, then: Any) -> None:
    state = saved()
    state["environment"][what] = then
    learner = Learner(mlp(), SynapticIntelligence(), heads(), Training(batch_size=4))
    with pytest.raises(MismatchError, match=f"{what}: {then} then"):
        learner.load_state_dict(state)
    learner.load_state_dict(state, allow_other_machine=True)
    learn(learner, class_stream())
    assert learner.position.experience == 3


@pytest.mark.parametrize("strategy", [OnlineEWC(), Chain(SynapticIntelligence())])
def test_the_state_of_another_strategy_is_refused(strategy: Strategy) -> None:
    with pytest.raises(MismatchError, match="the checkpoint's strategy was"):
        Learner(mlp(), strategy, heads(), Training(batch_size=4)).load_state_dict(saved())


def test_a_strategy_refuses_what_it_does_not_keep() -> None:
    with pytest.raises(ValueError, match="which this strategy does not keep"):
        OnlineEWC().load_state_dict(saved()["strategy"])


class FreezeBody(Strategy):
    """From the second experience on the first layer is frozen."""

    def grow(self, model: torch.nn.Module, experience: Experience | None = None) -> None:
        assert experience is not None
        if experience.index == 1:
            assert isinstance(model, torch.nn.Sequential)
            model[0].requires_grad_(False)


@pytest.mark.parametrize("clip", [None, 0.05])
def test_what_a_strategy_froze_stays_frozen_after_a_resume_and_counts_in_no_clipping(clip: float | None) -> None:
    def learner() -> Learner:
        training = Training(batch_size=4, clip=clip, optimizer="sgd", lr=0.1)
        return Learner(mlp(), FreezeBody(), heads(), training, seed=1)

    whole = learner()
    learn(whole, class_stream())
    first = learner()
    for progress in first.fit(class_stream()):
        if progress.experience.index == 1 and progress.step == 2:
            break
    second = learner()
    second.load_state_dict(through_disk(first.state_dict()))
    body = second.model[0].weight.detach().clone()  # type: ignore[index]
    learn(second, class_stream())
    assert torch.equal(second.model[0].weight, body)  # type: ignore[index]
    assert all(torch.equal(a, b) for a, b in zip(second.model.parameters(), whole.model.parameters(), strict=True))


def test_gem_passes_over_what_is_frozen() -> None:
    learner = Learner(mlp(), Chain(FreezeBody(), GradientEpisodicMemory(capacity=8)), heads(), Training(batch_size=4))
    learn(learner, class_stream())
    assert learner.position.experience == 3


def test_weights_that_the_last_step_broke_end_the_run() -> None:
    class Break(Finetuning):
        def after_step(self, step: Step) -> None:
            self.steps = getattr(self, "steps", 0) + 1
            if self.steps == 3:
                with torch.no_grad():
                    next(step.model.parameters()).view(-1)[0] = torch.inf

    learner = Learner(mlp(), Break(), heads(), Training(batch_size=4, steps=3))
    with pytest.raises(DivergenceError):
        learn(learner, class_stream()[:1])


@pytest.mark.parametrize(
    "wrong",
    [
        {"clip": -1.0},
        {"batch_size": 0},
        {"epochs": 0},
        {"steps": 0},
        {"schedule": "linear"},
        {"batchnorm": "frozen"},
        {"optimizer": "rmsprop"},
        {"lr": float("nan")},
        {"momentum": 1.0},
        {"weight_decay": -1.0},
        {"warmup": 1.0},
    ],
)
def test_impossible_training_is_refused(wrong: dict[str, Any]) -> None:
    (name,) = wrong
    with pytest.raises(ValueError, match=f"{name}="):
        Training(**wrong)


def test_a_loss_that_is_no_number_ends_the_run_and_is_never_saved() -> None:
    learner = Learner(mlp(), Finetuning(), Classification(), Training(optimizer="sgd", lr=1e30, batch_size=8))
    good = through_disk(learner.state_dict())
    with pytest.raises(DivergenceError, match="lower the learning rate"):
        learn(learner, class_stream())
    with pytest.raises(DivergenceError):
        learner.state_dict()
    learner.load_state_dict(good)  # back to before
    learner.state_dict()
    assert all(bool(p.isfinite().all()) for p in learner.model.parameters())


def test_an_experience_without_samples_is_refused() -> None:
    empty = class_stream(samples=0)
    with pytest.raises(ValueError, match="has no training samples"):
        learn(Learner(mlp(), Finetuning(), heads()), empty)


def test_learning_rate_schedule() -> None:
    plan = Training(lr=0.4, schedule="cosine", warmup=0.5)
    assert [plan.lr_at(step, 4) for step in range(5)] == pytest.approx([0.0, 0.2, 0.4, 0.2, 0.0])
    assert Training(lr=0.3).lr_at(9, 10) == 0.3


def test_a_warm_up_shorter_than_a_step_takes_no_step_away() -> None:
    short = Training(lr=0.4, schedule="cosine", warmup=0.05)
    assert short.lr_at(0, 1) == short.lr_at(0, 19) == 0.4
    assert short.lr_at(0, 20) == 0.0
    learner = Learner(mlp(), Finetuning(), heads(), Training(batch_size=64, warmup=0.05))
    before = [p.detach().clone() for p in learner.model.parameters()]
    learn(learner, class_stream()[:1])
    assert not any(torch.equal(a, b) for a, b in zip(before, learner.model.parameters(), strict=True))


class LateHead(torch.nn.Module):
    """Its second part is used only after some forward passes."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.passes = torch.nn.Linear(6, 6), torch.nn.Linear(6, 6), 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.passes += 1
        return self.first(x) + (self.second(x) if self.passes > 7 else 0)


def test_a_head_that_joins_later_trains_under_fused_sgd() -> None:
    """torch's fused SGD cannot give a momentum buffer to one parameter after the others."""
    results = []
    for fused in (True, False):
        torch.manual_seed(0)
        settings = Training(batch_size=4, optimizer="sgd", lr=0.1, fused=fused)
        learner = Learner(LateHead(), Finetuning(), heads(), settings)
        start = learner.model.second.weight.detach().clone()
        learn(learner, class_stream(), 7)
        assert torch.equal(learner.model.second.weight, start)
        learn(learner, class_stream(), 3)
        assert not torch.equal(learner.model.second.weight, start)
        results.append(dict(learner.model.state_dict()))
    for name, value in results[0].items():
        torch.testing.assert_close(value, results[1][name], rtol=1e-5, atol=1e-6)


def test_the_count_of_steps_may_go_on_while_moments_begin_anew() -> None:
    """As in the authors' code: a task's first step is (1 - .9) / sqrt(1 - .999) = 3.2 learning rates long, not one."""
    stream, training = class_stream(), Training(batch_size=40, steps=500, lr=1e-3)
    moves = []
    for kept in (True, False):
        learner = Learner(mlp(), Finetuning(), Classification(), replace(training, keep_step_count=kept))
        learn(learner, stream[:1])
        before = [p.detach().clone() for p in learner.model.parameters()]
        for progress in learner.fit(stream[:2]):
            if progress.experience.index == 1:
                break
        assert learner.optimizer is not None
        (steps,) = {int(state["step"]) for state in learner.optimizer.state.values()}
        assert steps == (501 if kept else 1)
        moves.append(
            max(float((p.detach() - q).abs().max()) for p, q in zip(learner.model.parameters(), before, strict=True))
        )
    correction = (1 - 0.999**501) ** 0.5 / (1 - 0.9**501)
    assert moves == pytest.approx([1e-3 * 0.1 / 0.001**0.5 * correction, 1e-3], rel=1e-3)


def test_a_run_whose_count_goes_on_is_resumed_exactly_and_only_as_such() -> None:
    def learner(kept: bool = True) -> Learner:
        return Learner(mlp(), Finetuning(), heads(), Training(batch_size=8, keep_step_count=kept), seed=1)

    whole = learner()
    learn(whole, class_stream())
    for stop in (("consolidated", 0), ("step", 1)):
        first = learner()
        for progress in first.fit(class_stream()):
            if (progress.kind, progress.experience.index) == stop:
                break
        state = through_disk(first.state_dict())
        second = learner()
        second.load_state_dict(state)
        learn(second, class_stream())
        assert_identical(dict(second.model.state_dict()), dict(whole.model.state_dict()))
        with pytest.raises(MismatchError, match="keep_step_count"):
            learner(kept=False).load_state_dict(state)
    with pytest.raises(ValueError, match="keep_step_count"):
        Training(keep_optimizer=True, keep_step_count=True)
