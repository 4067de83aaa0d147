"""EWC with a penalty for each task: two tensors a parameter stand for all of them."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from seamwise.continual import Draw, Learner, OnlineEWC, PerTaskEWC, Step, Strategy, Training
from seamwise.continual.fisher import diagonal_fisher
from tests.continual.problems import Point, class_stream, heads, learn, mlp, strategy_of, through_disk

GENERATOR = torch.Generator().manual_seed(3)


def pull_of(strategy: Strategy, model: Point) -> Tensor:
    """What the penalty adds to the gradient."""
    model.theta.grad = torch.zeros_like(model.theta)
    strategy.adjust(Step(model))
    assert model.theta.grad is not None
    return model.theta.grad


def after(
    fishers: Sequence[Tensor], thetas: Sequence[Tensor], monkeypatch: pytest.MonkeyPatch, strength: float = 2.0
) -> tuple[PerTaskEWC, Point]:
    """EWC that finished tasks at those parameters with those Fisher informations."""
    upcoming = iter(fishers)
    monkeypatch.setattr("seamwise.continual.ewc.diagonal_fisher", lambda *_: {"theta": next(upcoming)})
    ewc, model = PerTaskEWC(strength), Point(thetas[0].tolist())
    for theta in thetas:
        model.theta.data.copy_(theta)
        ewc.consolidate(model, heads(), class_stream(samples=2)[0])
    return ewc, model


def randoms(tasks: int, size: int) -> list[Tensor]:
    return list(torch.randn(tasks, size, generator=GENERATOR, dtype=torch.float64))


@pytest.mark.parametrize("tasks", [1, 2, 5])
def test_the_pull_is_that_of_all_penalties_together(tasks: int, monkeypatch: pytest.MonkeyPatch) -> None:
    fishers = [f.square() for f in randoms(tasks, 50)]
    for place, fisher in enumerate(fishers):
        fisher[:10] = 0.0  # never of importance
        fisher[10 * place + 10 : 10 * place + 20] = 0.0  # not in this task
    fishers[0][40:] *= 1e-12  # almost none at first
    thetas = randoms(tasks, 50)
    ewc, model = after(fishers, thetas, monkeypatch)
    for theta in randoms(3, 50):
        model.theta.data.copy_(theta)
        expected = sum(2.0 * f * (theta - old) for f, old in zip(fishers, thetas, strict=True))
        torch.testing.assert_close(pull_of(ewc, model), expected, rtol=1e-12, atol=1e-12)


def test_where_nothing_matters_nothing_pulls(monkeypatch: pytest.MonkeyPatch) -> None:
    ewc, model = after([torch.zeros(4).double()] * 3, randoms(3, 4), monkeypatch, strength=1e30)
    model.theta.data.fill_(1e30)
    assert torch.equal(pull_of(ewc, model), torch.zeros(4).double())
    assert all(bool(t.isfinite().all()) for t in ewc.bound.state_dict().values())


def test_the_reference_is_the_weighted_mean(monkeypatch: pytest.MonkeyPatch) -> None:
    fishers, thetas = (
        [torch.tensor([f]).double() for f in (1.0, 3.0, 0.0)],
        [torch.tensor([t]).double() for t in (0, 4, 9)],
    )
    state = after(fishers, thetas, monkeypatch)[0].state_dict()
    assert float(state["fisher.theta"]) == 4.0
    assert float(state["reference.theta"]) == 3.0  # (1 * 0 + 3 * 4) / 4


def test_after_one_task_it_is_the_online_form() -> None:
    results = []
    for strategy in (PerTaskEWC(20.0, samples=8), OnlineEWC(20.0, samples=8)):
        learner = Learner(mlp(), strategy, heads(), Training(batch_size=16, epochs=2, lr=0.05))
        learn(learner, class_stream()[:2])
        results.append(torch.cat([p.detach().flatten() for p in learner.model.parameters()]))
        learn(learner, class_stream())
        results.append(torch.cat([p.detach().flatten() for p in learner.model.parameters()]))
    torch.testing.assert_close(results[0], results[2])
    assert not torch.allclose(results[1], results[3], atol=1e-3)


def test_it_measures_each_task_at_its_end() -> None:
    ewc, model, stream = PerTaskEWC(samples=None), mlp(), class_stream(samples=6)
    total = {name: torch.zeros_like(p) for name, p in model.named_parameters()}
    for experience in stream:
        with torch.no_grad():
            for p in model.parameters():
                p.add_(0.1)
        ewc.consolidate(model, heads(), experience)
        for name, fisher in diagonal_fisher(model, heads(), experience.train, Draw(("t",))).items():
            total[name] += fisher
    for name, fisher in total.items():
        torch.testing.assert_close(ewc.state_dict()[f"fisher.{name}"], fisher, rtol=1e-4, atol=1e-8)
    assert ewc.stiffness == pytest.approx(100.0 * max(float(f.max()) for f in total.values()), rel=1e-4)


def test_gradients_are_replaced_and_none_stays_none() -> None:
    ewc, model = PerTaskEWC(samples=4), mlp()
    ewc.consolidate(model, heads(), class_stream()[0])
    for p in model.parameters():
        p.grad = torch.ones_like(p)
    model[2].bias.grad = None
    kept = through_disk({name: p.grad for name, p in model.named_parameters() if p.grad is not None})
    held = {name: p.grad for name, p in model.named_parameters()}
    ewc.adjust(Step(model))
    assert model[2].bias.grad is None
    assert all(torch.equal(held[name], value) for name, value in kept.items())


@pytest.mark.parametrize("strength", [0.0, 5.0])
def test_no_strength_is_finetuning_bit_for_bit(strength: float) -> None:
    results = []
    for strategy in (strategy_of("finetuning"), PerTaskEWC(strength, samples=4)):
        learner = Learner(mlp(), strategy, heads(), Training(batch_size=16, epochs=2, lr=0.05))
        learn(learner, class_stream())
        results.append(torch.cat([p.detach().flatten() for p in learner.model.parameters()]))
    assert torch.equal(*results) == (strength == 0)


def test_what_is_missing_is_said() -> None:
    with pytest.raises(ValueError, match="experience's data"):
        PerTaskEWC().consolidate(mlp())
    with pytest.raises(ValueError, match="strength must be >= 0"):
        PerTaskEWC(-1.0)
