"""What holds for every strategy of the catalogue and for chains of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seamwise.continual import (
    METHODS,
    Chain,
    Experience,
    Finetuning,
    Learner,
    Replay,
    Step,
    Strategy,
    SynapticIntelligence,
    Training,
    build_strategy,
)
from seamwise.continual.catalogue import nearest, parameters, protocol, settled
from seamwise.continual.optimizers import build_optimizer
from tests.continual.problems import (
    CLASS_SETS,
    STREAM_METHODS,
    SmallerWeights,
    ThreePhases,
    assert_identical,
    class_stream,
    everything,
    heads,
    learn,
    mlp,
    strategy_of,
    through_disk,
)

SETTINGS = Training(batch_size=16, epochs=2, lr=0.02)
EVENTS = 3 * (2 * 3 + 1)  # three experiences of two epochs of three steps, and their ends


def learner_with(strategy: Strategy, model: nn.Module | None = None) -> Learner:
    return Learner(mlp() if model is None else model, strategy, heads(), SETTINGS, seed=3)


def test_the_settings_above_cover_the_catalogue() -> None:
    assert {part for name in STREAM_METHODS for part in name.split("+")} == set(METHODS)


def storages(state: dict[str, Any]) -> set[int]:
    return {v.untyped_storage().data_ptr() for v in state.values() if isinstance(v, Tensor) and v.numel()}


def moments(learner: Learner, stream: list[Experience]) -> Iterator[str]:
    """Every moment at which a state may be taken, from before the first begin to after the last experience."""
    yield "before"
    learner.strategy.begin(learner.model, stream[0])
    yield "begun"
    for progress in learner.fit(stream):
        yield progress.kind


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("name", STREAM_METHODS)
def test_state_never_shares_memory_with_a_parameter(name: str, layout: torch.memory_format) -> None:
    model = nn.Sequential(nn.Unflatten(1, (6, 1, 1)), nn.Conv2d(6, 4, 1), nn.ReLU(), nn.Flatten(), nn.Linear(4, 6))
    learner = learner_with(strategy_of(name), model.to(memory_format=layout))
    seen = set()
    for moment in moments(learner, class_stream()):
        seen.add(moment)
        live = {p.untyped_storage().data_ptr() for p in model.parameters()}
        live |= {p.grad.untyped_storage().data_ptr() for p in model.parameters() if p.grad is not None}
        assert not live & storages(learner.strategy.state_dict()), moment
    assert seen >= {"before", "begun", "consolidated"}


@pytest.mark.parametrize("name", STREAM_METHODS)
def test_state_is_taken_over_by_copy(name: str) -> None:
    learner = learner_with(strategy_of(name))
    learn(learner, class_stream(), 10)
    state = through_disk(learner.strategy.state_dict())
    fresh = strategy_of(name)
    fresh.load_state_dict(state)
    assert not storages(state) & storages(fresh.state_dict())
    assert_identical(fresh.state_dict(), state)


@pytest.mark.parametrize("name", STREAM_METHODS)
def test_a_chain_of_one_behaves_as_the_one(name: str) -> None:
    alone, chained = learner_with(strategy_of(name)), learner_with(Chain(strategy_of(name)))
    learn(alone, class_stream())
    learn(chained, class_stream())
    ours, theirs = everything(alone), everything(chained)
    assert_identical(ours, {key.replace("strategy 0/", "strategy "): value for key, value in theirs.items()})


def test_an_empty_chain_is_finetuning() -> None:
    alone, chained = learner_with(Finetuning()), learner_with(Chain())
    learn(alone, class_stream())
    learn(chained, class_stream())
    assert_identical(everything(alone), everything(chained))


@pytest.mark.parametrize("events", [2, 7, 9])
@pytest.mark.parametrize("name", STREAM_METHODS)
def test_a_strategy_put_back_midway_goes_on_bit_for_bit(name: str, events: int) -> None:
    whole = learner_with(strategy_of(name))
    learn(whole, class_stream())
    learner = learner_with(strategy_of(name))
    learn(learner, class_stream(), events)
    state = through_disk(learner.strategy.state_dict())
    learner.strategy = strategy_of(name)
    learner.strategy.seed(learner.draw.of("strategy"))
    learner.strategy.load_state_dict(state)
    learn(learner, class_stream())
    assert_identical(everything(whole), everything(learner))


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd"])
def test_finetuning_is_a_plain_loop_bit_for_bit(optimizer: Any) -> None:
    settings = Training(batch_size=16, epochs=2, lr=0.02, optimizer=optimizer)
    log: list[tuple[int, Tensor]] = []
    stream = class_stream(log=log)
    learner = Learner(mlp(), Finetuning(), heads(), settings)
    learn(learner, stream)
    model, task = mlp(), None
    for t, rows in log:
        if t != task:
            task, own = t, build_optimizer(optimizer, model.parameters(), 0.02)
        data, classes = stream[t].train, CLASS_SETS[t]
        logits = torch.full((len(rows), 6), -1e9)
        own.zero_grad()
        logits[:, list(classes)] = model(data.x[rows])[:, list(classes)]
        losses = F.cross_entropy(logits, data.y[rows], reduction="none")
        (losses * torch.full((len(rows),), 1 / len(rows))).sum().backward()
        own.step()
    assert len(log) == EVENTS - 3
    assert_identical(dict(learner.model.state_dict()), dict(model.state_dict()))


@pytest.mark.parametrize("name", [n for n in STREAM_METHODS if n not in ("finetuning", "joint", "separate")])
def test_each_method_is_felt(name: str) -> None:
    """The settings of these tests make a difference; else the comparisons above would prove little."""
    plain, other = learner_with(Finetuning()), learner_with(strategy_of(name))
    learn(plain, class_stream())
    learn(other, class_stream())
    pairs = zip(plain.model.parameters(), other.model.parameters(), strict=True)
    assert max(float((p - q).detach().abs().max()) for p, q in pairs) > 1e-3


def test_frozen_never_moves_again() -> None:
    learner = learner_with(strategy_of("frozen"))
    learn(learner, class_stream()[:1])
    before = through_disk(dict(learner.model.state_dict()))
    assert learn(learner, class_stream()) == 2
    assert_identical(dict(learner.model.state_dict()), before)


def test_moments_of_a_chain_run_for_all_before_the_next() -> None:
    diary: list[str] = []

    class Diarist(Strategy):
        def __init__(self, name: str) -> None:
            self.name = name

        def grow(self, *_: Any) -> None:
            diary.append(f"grow {self.name}")

        def begin(self, *_: Any) -> None:
            diary.append(f"begin {self.name}")

        def observe(self, step: Step) -> None:
            diary.append(f"observe {self.name}")

        def adjust(self, step: Step) -> None:
            diary.append(f"adjust {self.name}")

        def after_step(self, step: Step) -> None:
            diary.append(f"after_step {self.name}")

        def consolidate(self, *_: Any) -> None:
            diary.append(f"consolidate {self.name}")

        def merge(self, *_: Any) -> None:
            diary.append(f"merge {self.name}")

    learner = Learner(mlp(), Chain(Diarist("a"), Diarist("b")), heads(), Training(batch_size=40))
    learn(learner, class_stream()[:1])
    order = ("grow", "begin", "observe", "adjust", "after_step", "consolidate", "merge")
    assert diary == [f"{moment} {name}" for moment in order for name in ("a", "b")]


def test_extra_terms_reach_the_parameters_with_and_without_an_observer() -> None:
    """One backward or two: the same gradient, up to the order of the sum."""
    one, two = learner_with(SmallerWeights()), learner_with(Chain(SmallerWeights(), SynapticIntelligence(c=0)))
    plain = learner_with(Finetuning())
    for learner in (one, two, plain):
        learn(learner, class_stream(), 4)
    for p, q, r in zip(one.model.parameters(), two.model.parameters(), plain.model.parameters(), strict=True):
        torch.testing.assert_close(p, q, rtol=1e-3, atol=1e-4)
        assert float((p - r).detach().abs().max()) > 1e-3


def test_an_extra_term_alone_moves_the_right_places_in_any_layout() -> None:
    """Fused Adam reads a gradient in the parameter's layout: one in another layout would be applied to wrong places."""

    class TwoParts(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.used, self.unused = nn.Linear(6, 6), nn.Conv2d(3, 4, 3, bias=False)

        def forward(self, x: Tensor) -> Tensor:
            return self.used(x)

    direction = torch.randn(4, 3, 3, 3, generator=torch.Generator().manual_seed(1))

    class Slope(Strategy):
        def extra_loss(self, step: Step) -> Tensor:
            return (step.model.unused.weight * direction).sum()

    model = TwoParts().to(memory_format=torch.channels_last)
    before = model.unused.weight.detach().clone()
    learn(learner_with(Chain(Slope(), SynapticIntelligence()), model), class_stream(), 1)
    moved = model.unused.weight.detach() - before  # Adam's first step goes against the gradient's sign, lr far
    torch.testing.assert_close(moved, -SETTINGS.lr * direction.sign(), rtol=1e-3, atol=1e-6)


def test_a_constant_extra_term_changes_nothing() -> None:
    class Constant(Strategy):
        def extra_loss(self, step: Step) -> Tensor:
            return torch.tensor(1.5)

    one, two = learner_with(SynapticIntelligence()), learner_with(Chain(SynapticIntelligence(), Constant()))
    learn(one, class_stream(), 5)
    learn(two, class_stream(), 5)
    assert_identical(dict(one.model.state_dict()), dict(two.model.state_dict()))


def test_two_plans_of_phases_cannot_be_chained() -> None:
    with pytest.raises(ValueError, match="only one such strategy"):
        learn(learner_with(Chain(ThreePhases(), ThreePhases())), class_stream())


def test_phases_come_in_order() -> None:
    learner = learner_with(Chain(SynapticIntelligence(), ThreePhases()))
    seen = [(p.phase, p.step, p.steps) for p in learner.fit(class_stream()[:1])]
    middle = [("learn", step, 6) for step in range(1, 7)]
    assert seen == [("warm-up", 1, 2), ("warm-up", 2, 2), *middle, ("last", 1, 1), ("consolidated", 0, 0)]


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("sii", {}, r"no strategy 'sii' \(did you mean si"),
        ("si+reply", {}, "did you mean replay"),
        ("", {}, "no strategy"),
        ("si", {"cc": 1}, r"si has no parameter 'cc' \(did you mean c"),
        ("si+replay", {"capacitty": 1}, "did you mean capacity"),
        ("ewc", {"lambda": 1.0}, "there are: strength, samples, decay"),
        ("finetuning", {"c": 1.0}, "it has none"),
        ("si", {"c": "much"}, "si: c must be float, not 'much'"),
        ("si", {"c": True}, "si: c must be float"),
        ("si", {"c": float("nan")}, "si: c must be float"),
        ("si", {"c": float("inf")}, "si: c must be float"),
        ("si", {"c": 10**400}, "si: c must be float"),
        ("si", {"c": -1}, "c must be >= 0"),
        ("si", {"clamp": "relu"}, "accumulated, experience, none"),
        ("si", {"copy_gradient": 1}, "copy_gradient must be bool"),
        ("replay", {"capacity": 2.5}, "capacity must be int"),
        ("replay", {"capacity": 0}, "at least one"),
        ("replay", {"weight": -1.0}, "weight and share"),
        ("ewc", {"samples": "all"}, "samples must be int or NoneType"),
        ("ewc", {"decay": 1.5}, "decay must be in 0..1"),
        ("joint+si", {}, "stand alone"),
        ("separate+joint", {}, "stand alone"),
    ],
)
def test_wrong_names_and_values_are_refused(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build_strategy(name, options)


def test_options_go_to_the_strategy_that_has_them() -> None:
    chain = build_strategy("si+replay", {"c": 2, "capacity": 7, "policy": "reservoir"})
    assert isinstance(chain, Chain)
    si, replay = chain.strategies
    assert isinstance(si, SynapticIntelligence)
    assert isinstance(replay, Replay)
    assert (si.c, replay.capacity, replay.policy) == (2.0, 7, "reservoir")
    assert build_strategy("ewc", {"samples": None}).samples is None


def test_parts_of_a_chain_that_share_a_name_can_be_told_apart() -> None:
    def strengths(**options: Any) -> list[float]:
        return [part.strength for part in build_strategy("ewc+lwf", options).strategies]

    assert strengths() == [100.0, 1.0]
    assert strengths(strength=7) == [7.0, 7.0]
    assert strengths(**{"ewc.strength": 5.0}) == [5.0, 1.0]
    assert strengths(**{"lwf.strength": 2.0, "strength": 7.0}) == [7.0, 2.0]
    assert [parameters("ewc+lwf")[f"{part}.strength"].default for part in ("ewc", "lwf")] == [100.0, 1.0]
    assert settled("ewc+lwf") != settled("ewc+lwf", {"strength": 1.0})
    assert settled("si+replay", {"c": 2}).keys() == parameters("si").keys() | parameters("replay").keys()
    with pytest.raises(ValueError, match=r"si\+replay has no parameter 'si.c' \(there are: c, xi"):
        build_strategy("si+replay", {"si.c": 1.0})


def test_the_catalogue_tells_its_parameters() -> None:
    assert parameters("si").keys() == {"c", "xi", "clamp", "first_reference", "pull", "copy_gradient"}
    assert parameters("si")["c"].default == 0.1
    assert not parameters("joint")
    assert [protocol(name) for name in ("si", "si+replay", "joint", "separate")] == [
        "stream",
        "stream",
        "joint",
        "separate",
    ]
    assert nearest("zzz", ["abc", "def"]) == " (there are: abc, def)"
