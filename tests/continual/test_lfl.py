"""Less-forgetting Learning: the loss by hand, what is frozen of the output layer, and when features are asked for."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from seamwise.continual import (
    Batch,
    Chain,
    Classification,
    Experience,
    Finetuning,
    GradientEpisodicMemory,
    Learner,
    LessForgettingLearning,
    Objective,
    OnlineEWC,
    Output,
    Step,
    Strategy,
    Training,
)
from tests.continual.problems import (
    CLASS_SETS,
    Pixels,
    class_stream,
    heads,
    learn,
    mask_stream,
    mlp,
    through_disk,
    tiny_unet,
)


def two_layers(seed: int) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 2)).double()


def data() -> Batch:
    x = torch.randn(5, 4, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    batch = Batch.of(x, torch.tensor([0, 1, 0, 1, 1]), task=1)
    return Batch(batch.x, batch.y, batch.task, batch.index, torch.tensor([0.1, 0.3, 0.2, 0.25, 0.4]).double())


def taught(model: nn.Module, moved: nn.Module, **options: Any) -> LessForgettingLearning:
    """LFL whose teacher is the model as it was, before it took the weights of `moved`."""
    lfl = LessForgettingLearning(**options)
    lfl.consolidate(model)
    lfl.begin(model)
    model.load_state_dict(moved.state_dict())
    return lfl


def extra(lfl: LessForgettingLearning, model: nn.Module, objective: Objective, batch: Batch) -> Tensor:
    loss = lfl.extra_loss(Step(model, objective, batch, objective.forward(model, batch, features=True)))
    assert loss is not None
    return loss


def test_loss_and_gradient_by_hand() -> None:
    model, old, new, batch = two_layers(1), two_layers(1), two_layers(2), data()
    lfl = taught(model, new, strength=0.7)
    loss = extra(lfl, model, Classification(), batch)
    x, weight = batch.x.numpy(), batch.weight.numpy()
    away = new[0](batch.x).detach().numpy() - old[0](batch.x).detach().numpy()
    assert float(loss.detach()) == pytest.approx(0.7 * (weight * 0.5 * (away**2).sum(1)).sum(), rel=1e-12)
    loss.backward()
    np.testing.assert_allclose(model[0].weight.grad.numpy(), 0.7 * (away * weight[:, None]).T @ x, rtol=1e-10)
    np.testing.assert_allclose(model[0].bias.grad.numpy(), 0.7 * weight @ away, rtol=1e-10)
    assert model[1].weight.grad is None


def test_maps_are_averaged_over_positions() -> None:
    """Equal pixels count as one of them."""
    batch, results = data(), []
    pictures = Batch(
        batch.x[..., None, None].expand(-1, -1, 3, 2),
        batch.y[:, None, None].expand(-1, 3, 2),
        batch.task,
        batch.index,
        batch.weight,
    )

    def convolutions(seed: int) -> nn.Sequential:
        net = nn.Sequential(nn.Conv2d(4, 3, 1), nn.Conv2d(3, 2, 1)).double()
        for p, q in zip(net.parameters(), two_layers(seed).parameters(), strict=True):
            p.data.copy_(q.data.view(p.shape))
        return net

    for net, objective, samples in ((two_layers, Classification(), batch), (convolutions, Pixels(), pictures)):
        model = net(1)
        results.append(extra(taught(model, net(2)), model, objective, samples))
    torch.testing.assert_close(*results, rtol=1e-12, atol=0)


def head_of(model: nn.Module) -> list[Tensor]:
    return [p.detach().clone() for p in model[-1].parameters()]


@pytest.mark.parametrize("frozen", [True, False])
def test_a_single_head_is_frozen_whole(frozen: bool) -> None:
    """From the second experience on, and whatever an optimizer with weight decay or kept momentum would do."""
    settings = Training(batch_size=20, epochs=2, lr=0.05, optimizer="adamw", weight_decay=0.1, keep_optimizer=True)
    strategy = LessForgettingLearning(0.1, freeze_head=frozen)
    learner = Learner(mlp(), strategy, Classification(), settings)
    unknown = [Experience(e.index, e.name, e.train) for e in class_stream()]
    start = head_of(learner.model)
    ends = [head_of(learner.model) for progress in learner.fit(unknown) if progress.kind == "consolidated"]
    moved = [not all(map(torch.equal, a, b)) for a, b in pairwise([start, *ends])]
    assert moved == [True, not frozen, not frozen]


@pytest.mark.parametrize("objective", [heads(), Classification()], ids=["heads", "new classes"])
def test_only_the_rows_of_known_classes_are_frozen(objective: Classification) -> None:
    learner = Learner(mlp(), LessForgettingLearning(0.1), objective, Training(batch_size=20, epochs=3, lr=0.05))
    before = head_of(learner.model)
    for progress in learner.fit(class_stream()):
        if progress.kind == "consolidated":
            now, index = head_of(learner.model), progress.experience.index
            for old, new in zip(before, now, strict=True):
                rows = (old != new).reshape(6, -1).any(1).nonzero().flatten().tolist()
                allowed = range(2 * index, 2 * index + 2) if objective.mask.class_sets else range(2 * index, 6)
                known = [k for task in range(index) for k in CLASS_SETS[task]]
                assert set(CLASS_SETS[index]) <= set(rows) <= set(allowed)
                assert not set(rows) & set(known)
            before = now


@pytest.mark.parametrize("other", [GradientEpisodicMemory(capacity=20, samples=6), OnlineEWC(1000.0, samples=8)])
def test_frozen_rows_stay_whatever_follows_in_a_chain(other: Strategy) -> None:
    strategy = Chain(LessForgettingLearning(0.1), other)
    learner = Learner(mlp(), strategy, heads(), Training(batch_size=20, epochs=3, lr=0.05, weight_decay=0.01))
    before = head_of(learner.model)
    for progress in learner.fit(class_stream()):
        if progress.kind == "consolidated":
            now, index = head_of(learner.model), progress.experience.index
            known = [k for task in range(index) for k in CLASS_SETS[task]]
            for old, new in zip(before, now, strict=True):
                assert torch.equal(old[known], new[known])
                assert not torch.equal(old[list(CLASS_SETS[index])], new[list(CLASS_SETS[index])])
            before = now


def test_an_output_layer_of_several_parts_is_frozen_whole_where_it_has_no_rows() -> None:
    class DeepHead(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = nn.Linear(6, 5)
            self.head = nn.Sequential(nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, 6))

        def hidden(self, x: Tensor) -> Tensor:
            return self.body(x).relu()

        def forward(self, x: Tensor) -> Tensor:
            return self.head(self.hidden(x))

    learner = Learner(DeepHead(), LessForgettingLearning(0.1), heads(), Training(batch_size=20, lr=0.05))
    stream = class_stream()
    learn(learner, stream[:1])
    before = through_disk(dict(learner.model.state_dict()))
    learn(learner, stream[:2])
    after = learner.model.state_dict()
    same = {name for name, value in after.items() if torch.equal(value, before[name])}
    assert same == {"head.0.weight", "head.0.bias"}
    assert torch.equal(after["head.2.weight"][[0, 1, 4, 5]], before["head.2.weight"][[0, 1, 4, 5]])


def test_gradients_are_replaced_and_none_stays_none() -> None:
    model = two_layers(1)
    lfl, batch = taught(model, two_layers(2)), data()
    loss = Classification().loss(Classification().forward(model, batch), batch).sum()
    (loss + extra(lfl, model, Classification(), batch)).backward()
    body = model[0].weight.grad
    model[0].bias.grad = None
    lfl.adjust(Step(model))
    assert model[0].weight.grad is body
    assert [p.grad is None for p in model.parameters()] == [False, True, True, True]


def test_features_are_asked_for_only_when_they_are_compared() -> None:
    asked: list[bool] = []

    class Watched(Classification):
        def forward(self, model: nn.Module, batch: Batch, features: bool = False) -> Output:
            if model.training:  # the teacher is not
                asked.append(features)
            return super().forward(model, batch, features)

    for strategy in (LessForgettingLearning(), Chain(Finetuning(), LessForgettingLearning())):
        asked.clear()
        learn(Learner(mlp(), strategy, Watched(CLASS_SETS), Training(batch_size=40)), class_stream())
        assert asked == [False, True, True]
    asked.clear()
    for strategy in (Finetuning(), LessForgettingLearning(0.0)):
        learn(Learner(mlp(), strategy, Watched(CLASS_SETS), Training(batch_size=40)), class_stream())
    assert not any(asked)


def test_no_strength_is_finetuning_bit_for_bit() -> None:
    results = []
    for strategy in (Finetuning(), LessForgettingLearning(0.0), LessForgettingLearning(1.0, freeze_head=False)):
        learner = Learner(mlp(), strategy, heads(), Training(batch_size=16, epochs=2, lr=0.02))
        learn(learner, class_stream())
        results.append(torch.cat([p.detach().flatten() for p in learner.model.parameters()]))
    assert torch.equal(results[0], results[1])
    assert not torch.equal(results[0], results[2])


def test_the_stronger_the_closer_stay_the_features() -> None:
    moved = []
    for strength in (0.01, 1.0, 100.0):
        stream = class_stream()
        learner = Learner(mlp(), LessForgettingLearning(strength), heads(), Training(batch_size=16, epochs=9, lr=0.01))
        learn(learner, stream[:1])
        x = stream[1].train.batch(torch.arange(40)).x
        before = learner.model[:2](x).detach()
        learn(learner, stream[:2])
        moved.append(float((learner.model[:2](x).detach() - before).norm() / before.norm()))
    assert moved[0] > 2 * moved[1] > 4 * moved[2], moved


def test_pictures_in_channels_last() -> None:
    learner = Learner(tiny_unet(), LessForgettingLearning(1.0), Pixels(), Training(batch_size=4, epochs=2, lr=0.01))
    stream = mask_stream()
    learn(learner, stream[:1])
    head = [p.detach().clone() for p in learner.model.head.parameters()]
    body = learner.model.down.weight.detach().clone()
    learn(learner, stream)
    assert all(torch.equal(p, q) for p, q in zip(learner.model.head.parameters(), head, strict=True))
    assert not torch.equal(learner.model.down.weight, body)


def test_a_network_that_shows_no_features_is_told_what_to_do() -> None:
    learner = Learner(nn.Linear(6, 6), LessForgettingLearning(), heads(), Training(batch_size=20))
    with pytest.raises(ValueError, match=r"Linear does not show its last hidden activations.*hidden\(x\)"):
        learn(learner, class_stream())


def test_what_is_missing_is_said() -> None:
    model = two_layers(1)
    lfl, batch = taught(model, two_layers(2)), data()
    with pytest.raises(ValueError, match=r"Step\(model, objective, batch, output\)"):
        lfl.extra_loss(Step(model))
    with pytest.raises(ValueError, match="features=True"):
        lfl.extra_loss(Step(model, Classification(), batch, Classification().forward(model, batch)))
    with pytest.raises(ValueError, match="strength must be >= 0"):
        LessForgettingLearning(-1.0)
