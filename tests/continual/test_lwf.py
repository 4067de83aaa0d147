"""Learning without Forgetting: the distillation loss by hand, which heads it holds, and what it leaves alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seamwise.continual import (
    Batch,
    Chain,
    Classification,
    Experience,
    Finetuning,
    Learner,
    LearningWithoutForgetting,
    Output,
    Replay,
    Step,
    Strategy,
    SynapticIntelligence,
    TensorDataset,
    Training,
)
from tests.continual.problems import Pixels, class_stream, heads, learn, mlp, through_disk, tiny_unet


def linear(seed: int) -> nn.Linear:
    torch.manual_seed(seed)
    return nn.Linear(4, 6).double()


def data() -> Batch:
    x = torch.randn(5, 4, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    batch = Batch.of(x, torch.tensor([4, 5, 4, 5, 5]), task=2)
    return Batch(batch.x, batch.y, batch.task, batch.index, torch.tensor([0.1, 0.3, 0.2, 0.25, 0.4]).double())


def taught(classes: Sequence[Sequence[int]], strength: float = 1.0, temperature: float = 2.0) -> tuple:
    """LwF that has learned so many experiences, with its teacher, and a model that has moved since."""
    lwf, model = LearningWithoutForgetting(strength, temperature), linear(1)
    for place, ids in enumerate(classes):
        lwf.consolidate(model, None, Experience(place, "old", TensorDataset(data().x, data().y), tuple(ids)))
    lwf.begin(model)
    moved = linear(2)
    with torch.no_grad():
        for p, q in zip(model.parameters(), moved.parameters(), strict=True):
            p.copy_(q)
    return lwf, model


def softened(logits: np.ndarray, classes: Sequence[int], temperature: float) -> np.ndarray:
    p = np.exp(logits[:, classes])
    p = (p / p.sum(1, keepdims=True)) ** (1 / temperature)  # as the paper writes it
    return p / p.sum(1, keepdims=True)


@pytest.mark.parametrize("temperature", [2.0, 1.0, 5.0])
@pytest.mark.parametrize(
    ("mask", "brought", "expected"),
    [
        ({0: (0, 1), 1: (2, 3), 2: (4, 5)}, [(0, 1), (2, 3)], [(0, 1), (2, 3)]),
        ({}, [(0, 1), (2, 3)], [(0, 1, 2, 3)]),
        ({}, [(), ()], [(0, 1, 2, 3, 4, 5)]),
    ],
    ids=["heads", "new classes", "domains"],
)
def test_loss_and_gradient_by_hand(
    mask: Mapping[int, Sequence[int]],
    brought: Sequence[Sequence[int]],
    expected: Sequence[Sequence[int]],
    temperature: float,
) -> None:
    lwf, model = taught(brought, 0.7, temperature)
    batch, objective = data(), Classification(mask)
    loss = lwf.extra_loss(Step(model, objective, batch, objective.forward(model, batch)))
    x, weight = batch.x.numpy(), batch.weight.numpy()
    old, new = (net(batch.x).detach().numpy() for net in (linear(1), linear(2)))
    by_hand, slope = 0.0, np.zeros((6, 4))
    for ids in expected:
        q, p = softened(old, ids, temperature), softened(new, ids, temperature)
        by_hand -= 0.7 * (weight * (q * np.log(p)).sum(1)).sum()
        slope[list(ids)] += 0.7 / temperature * ((p - q) * weight[:, None]).T @ x
    assert float(loss.detach()) == pytest.approx(by_hand, rel=1e-12)
    loss.backward()
    np.testing.assert_allclose(model.weight.grad.numpy(), slope, rtol=1e-10, atol=1e-14)


def test_pixels_are_averaged() -> None:
    """A picture of equal pixels counts as one of them."""
    lwf, model = taught([()])
    batch = data()
    as_vectors = lwf.extra_loss(Step(model, Classification(), batch, Classification().forward(model, batch)))

    class Pixelwise(nn.Module):
        def __init__(self, layer: nn.Linear) -> None:
            super().__init__()
            self.layer = layer

        def forward(self, x: Tensor) -> Tensor:
            return self.layer(x.movedim(1, -1)).movedim(-1, 1)

    maps, old = LearningWithoutForgetting(), Pixelwise(linear(1))
    maps.consolidate(old)
    maps.begin(old)
    pictures = Batch(
        batch.x[..., None, None].expand(-1, -1, 3, 2),
        batch.y[:, None, None].expand(-1, 3, 2),
        batch.task,
        batch.index,
        batch.weight,
    )
    new = Pixelwise(linear(2))
    as_maps = maps.extra_loss(Step(new, Pixels(), pictures, Pixels().forward(new, pictures)))
    torch.testing.assert_close(as_maps, as_vectors, rtol=1e-12, atol=0)


def test_it_is_least_where_the_model_answers_as_before() -> None:
    lwf, model = taught([()])
    batch, objective = data(), Classification()
    with torch.no_grad():
        for p, q in zip(model.parameters(), linear(1).parameters(), strict=True):
            p.copy_(q)
    lwf.extra_loss(Step(model, objective, batch, objective.forward(model, batch))).backward()
    assert float(model.weight.grad.abs().max()) < 1e-15


def test_hintons_weighting_is_a_strength_of_the_temperature_squared() -> None:
    """At high temperature his gradient is that of matching centred logits, 1/K |z - z'|^2 / 2, whatever T."""
    lwf, model = taught([()], strength=1e4, temperature=100.0)
    batch, objective = data(), Classification()
    lwf.extra_loss(Step(model, objective, batch, objective.forward(model, batch))).backward()
    with torch.no_grad():
        away = linear(2)(batch.x) - linear(1)(batch.x)
        expected = ((away - away.mean(1, keepdim=True)) * batch.weight[:, None]).T @ batch.x / 6
    torch.testing.assert_close(model.weight.grad, expected, rtol=0.05, atol=1e-3)


def test_nothing_to_keep_in_the_first_experience() -> None:
    lwf, model, batch = LearningWithoutForgetting(), linear(1), data()
    lwf.begin(model)
    output = Classification().forward(model, batch)
    assert lwf.extra_loss(Step(model, Classification(), batch, output)) is None
    assert lwf.state_dict() == {"seen": []}


def test_no_strength_is_finetuning_bit_for_bit() -> None:
    results = []
    for strategy in (Finetuning(), LearningWithoutForgetting(0.0), LearningWithoutForgetting(1.0)):
        learner = Learner(mlp(), strategy, heads(), Training(batch_size=16, epochs=2, lr=0.02))
        learn(learner, class_stream())
        results.append(torch.cat([p.detach().flatten() for p in learner.model.parameters()]))
    assert torch.equal(results[0], results[1])
    assert not torch.equal(results[0], results[2])


def test_the_teacher_is_a_copy_that_draws_nothing_and_keeps_its_statistics() -> None:
    model, lwf = tiny_unet(), LearningWithoutForgetting()
    lwf.consolidate(model)
    lwf.begin(model)
    saved = through_disk(lwf.state_dict())
    batch = Batch.of(torch.randn(3, 2, 8, 8), torch.zeros(3, 8, 8, dtype=torch.int64))
    model.train()
    output = Pixels().forward(model, batch)
    random, buffers = torch.get_rng_state(), through_disk(dict(model.named_buffers()))
    one, two = (lwf.extra_loss(Step(model, Pixels(), batch, output)) for _ in range(2))
    assert torch.equal(one, two)  # no dropout
    assert torch.equal(torch.get_rng_state(), random)
    assert all(torch.equal(value, buffers[name]) for name, value in model.named_buffers())
    assert all(module.training for module in model.modules())
    with torch.no_grad():
        for p in model.parameters():
            p.add_(1.0)
    assert all(torch.equal(value, saved[name]) for name, value in lwf.state_dict().items() if name != "seen")
    assert all(not p.requires_grad for p in lwf.teacher.network.parameters())


def test_the_student_answers_once_a_step() -> None:
    class Counted(nn.Sequential):
        calls = 0

        def forward(self, x: Tensor) -> Tensor:
            type(self).calls += self.training  # the teacher is in eval mode
            return super().forward(x)

    learner = Learner(Counted(*mlp()), LearningWithoutForgetting(), heads(), Training(batch_size=20))
    learn(learner, class_stream())
    assert Counted.calls == 3 * 2


def test_distillation_is_no_task_loss_for_synaptic_intelligence() -> None:
    """What is observed is the gradient of the task's loss alone, though what moves the model is both."""

    class Witness(Strategy):
        seen = moved = 0

        def observe(self, step: Step) -> None:
            loss = (step.objective.loss(step.objective.forward(step.model, step.batch), step.batch)).mean()
            alone = torch.autograd.grad(loss, list(step.model.parameters()))
            self.task = [p.grad for p in step.model.parameters()]
            for p, gradient in zip(step.model.parameters(), alone, strict=True):
                torch.testing.assert_close(p.grad, gradient)
            self.seen += 1

        def adjust(self, step: Step) -> None:
            self.moved += any(p.grad is not g for p, g in zip(step.model.parameters(), self.task, strict=True))

    witness = Witness()
    chain = Chain(LearningWithoutForgetting(3.0), witness, SynapticIntelligence())
    learn(Learner(mlp(), chain, heads(), Training(batch_size=20, lr=0.05)), class_stream())
    assert (witness.seen, witness.moved) == (6, 4)


def test_replayed_samples_are_distilled_with_their_weight() -> None:
    """All rows of the extended batch count, each as much as its task loss."""
    rows: list[int] = []

    class Watched(LearningWithoutForgetting):
        def extra_loss(self, step: Step) -> Tensor | None:
            loss = super().extra_loss(step)
            if loss is not None:
                rows.append(len(step.batch))
                entropy = 2 * np.log(2)  # of two heads of two classes at most, at the start of the experience
                assert 0 < float(loss.detach()) < 2 * entropy
            return loss

    learn(Learner(mlp(), Chain(Replay(10), Watched()), heads(), Training(batch_size=20)), class_stream())
    assert rows == [30, 30, 30, 30]


def test_it_works_in_a_loop_of_ones_own_without_begin() -> None:
    model, lwf, objective, batch = linear(1), LearningWithoutForgetting(), Classification(), data()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    before = model.weight.detach().clone()
    for experience in range(2):
        for _ in range(3):
            optimizer.zero_grad()
            output = objective.forward(model, batch)
            loss = objective.loss(output, batch).mean()
            extra = lwf.extra_loss(Step(model, objective, batch, output))
            assert (extra is None) == (experience == 0)
            (loss if extra is None else loss + extra).backward()
            optimizer.step()
        if experience == 0:
            before = model.weight.detach().clone()
            lwf.consolidate(model)
    assert torch.equal(lwf.teacher.network.weight, before)


def test_it_remembers() -> None:
    """What the model says about the first experience's samples moves less while two more are learned."""
    moved = {}
    for name, strategy in (("finetuning", Finetuning()), ("lwf", LearningWithoutForgetting(5.0))):
        stream = class_stream(noise=2.0)
        batch = stream[0].train.batch(torch.arange(40))
        learner = Learner(mlp(), strategy, heads(), Training(batch_size=16, epochs=20, lr=0.02))
        answers = [
            heads().forward(learner.model, batch).logits.detach().softmax(1)
            for progress in learner.fit(stream)
            if progress.kind == "consolidated"
        ]
        moved[name] = float((answers[2] - answers[0]).abs().sum(1).mean())
    assert moved["lwf"] < 0.5 * moved["finetuning"], moved


def test_what_is_missing_is_said() -> None:
    lwf, model = taught([()])
    batch = data()
    with pytest.raises(ValueError, match=r"Step\(model, objective, batch, output\)"):
        lwf.extra_loss(Step(model))
    with pytest.raises(ValueError, match=r"Output\.raw"):
        lwf.extra_loss(Step(model, Classification(), batch, Output(F.relu(model(batch.x)))))


@pytest.mark.parametrize("options", [{"strength": -1.0}, {"temperature": 0.0}])
def test_wrong_values_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="strength must be >= 0 and temperature > 0"):
        LearningWithoutForgetting(**options)
