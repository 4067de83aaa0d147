"""Gradient Episodic Memory: the projection against brute force, the memories, and what a step leaves alone."""

from __future__ import annotations

import sys
from itertools import combinations
from typing import Any

import numpy as np
import pytest
import torch
from scipy.optimize import nnls
from torch import Tensor, nn

from seamwise.continual import (
    Batch,
    Classification,
    DivergenceError,
    Draw,
    Experience,
    Finetuning,
    GradientEpisodicMemory,
    Learner,
    Step,
    TensorDataset,
    Training,
)
from seamwise.continual.gem import project
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


def brute_force(g: np.ndarray, old: np.ndarray, margin: float) -> np.ndarray:
    """The dual's solution by trying every set of unknowns that lie on the bound; the corrected gradient."""
    P, b, tasks = old @ old.T, old @ g, len(old)
    best, value = None, np.inf
    for size in range(tasks + 1):
        for free in map(list, combinations(range(tasks), size)):
            v = np.full(tasks, margin)
            if free:
                fixed = [k for k in range(tasks) if k not in free]
                rest = b[free] + P[np.ix_(free, fixed)] @ v[fixed]
                v[free] = np.linalg.lstsq(P[np.ix_(free, free)], -rest, rcond=None)[0]
            cost = 0.5 * v @ P @ v + b @ v
            if (v >= margin - 1e-9).all() and cost < value - 1e-12:
                best, value = v, cost
    assert best is not None
    return g + best @ old


@pytest.mark.parametrize("margin", [0.0, 0.5])
@pytest.mark.parametrize(("tasks", "size"), [(1, 3), (2, 6), (3, 5), (5, 8), (5, 40)])
def test_the_projection_solves_the_quadratic_program(tasks: int, size: int, margin: float) -> None:
    rng = np.random.default_rng(tasks * size)
    for _ in range(20):
        g, old = rng.normal(size=size), rng.normal(size=(tasks, size))
        found = project(torch.tensor(g), torch.tensor(old), margin).numpy()
        np.testing.assert_allclose(found, brute_force(g, old, margin), rtol=1e-8, atol=1e-8)
        assert (old @ found >= -1e-9).all()  # the optimum's multipliers, whatever the margin


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_memories_that_say_the_same(scale: float) -> None:
    """Gradients that depend on each other have no unique weights, but one projection."""
    rng = np.random.default_rng(0)
    one, other, g = rng.normal(size=(3, 7))
    old = scale * np.stack([one, other, one, 2 * one - other, np.zeros(7)])
    g = -one - 0.3 * other
    found = project(torch.tensor(g), torch.tensor(old)).numpy()
    np.testing.assert_allclose(found, brute_force(g, old / scale, 0.0), atol=1e-8)
    assert (old @ found >= -1e-8 * scale).all()


@pytest.mark.parametrize("seed", [0, 1, 2529, 4488])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-9), (torch.float32, 2e-3)])
def test_more_memories_than_directions(dtype: torch.dtype, tolerance: float, seed: int) -> None:
    """Many old gradients in a plane: weights that add up to nothing must not run away (they would with those seeds).

    Compared with the same problem in the plane's coordinates, where there are no such weights.
    """
    rng = np.random.default_rng(seed)
    spanning, weights = rng.normal(size=(20, 2)), rng.normal(size=(8, 2))
    g = rng.normal(size=20) + 3 * spanning @ rng.normal(size=2)
    old, (basis, _) = weights @ spanning.T, np.linalg.qr(spanning)
    v, _ = nnls((old @ basis).T, -(basis.T @ g))
    found = project(torch.tensor(g, dtype=dtype), torch.tensor(old, dtype=dtype)).numpy()
    np.testing.assert_allclose(found, g + v @ old, atol=tolerance)


@pytest.mark.parametrize("margin", [0.0, 0.5])
def test_a_memory_with_a_short_gradient_counts_as_well(margin: float) -> None:
    """A task that is known by heart has a tiny gradient beside another's, and its constraint holds all the same."""
    rng = np.random.default_rng(2)
    for _ in range(20):
        old = rng.normal(size=(4, 300)) * np.array([[1e-5], [1.0], [1e3], [1e-2]])
        g = -rng.random(4) @ (old / np.linalg.norm(old, axis=1, keepdims=True)) + 0.01 * rng.normal(size=300)
        found = project(torch.tensor(g, dtype=torch.float32), torch.tensor(old, dtype=torch.float32), margin).numpy()
        cosines = old @ found / np.linalg.norm(old, axis=1) / np.linalg.norm(found)
        assert (cosines > -1e-5).all()


def test_single_precision_is_as_exact_as_it_can_be() -> None:
    rng = np.random.default_rng(1)
    old, g = rng.normal(size=(6, 5000)), rng.normal(size=5000)
    old[3] = old[2] + 1e-5 * rng.normal(size=5000)
    found = project(torch.tensor(g, dtype=torch.float32), torch.tensor(old, dtype=torch.float32))
    assert found.dtype == torch.float32
    exact = brute_force(g, old, 0.0)
    assert np.abs(found.numpy() - exact).max() < 1e-4
    assert (old @ found.numpy().astype(float) > -1e-2).all()  # of products about 70 in size


def test_a_single_memory_in_closed_form() -> None:
    """v = max(gamma, -<g, g_1> / |g_1|^2)."""
    g, old = torch.tensor([1.0, 0.0]).double(), torch.tensor([[-1.0, 1.0]]).double()
    torch.testing.assert_close(project(g, old), torch.tensor([0.5, 0.5]).double())
    torch.testing.assert_close(project(g, old, margin=2.0), torch.tensor([-1.0, 2.0]).double())


def stream_of_opposites() -> list[Experience]:
    """The second experience contradicts the first: the same inputs, the other label."""
    x = torch.randn(20, 6, generator=torch.Generator().manual_seed(1))
    y = (x[:, 0] > 0).long()
    return [Experience(0, "a", TensorDataset(x, y, 0)), Experience(1, "b", TensorDataset(x, 1 - y, 1))]


def one_head() -> Classification:
    """Both experiences of `stream_of_opposites` answer with the same two classes."""
    return Classification({0: (0, 1), 1: (0, 1)})


def ready(experiences: list[Experience], model: nn.Module, **options: Any) -> GradientEpisodicMemory:
    gem = GradientEpisodicMemory(**options)
    for experience in experiences:
        gem.consolidate(model, Classification(), experience)
    return gem


def task_gradient(model: nn.Module, objective: Classification, experience: Experience) -> None:
    batch = experience.train.batch(torch.arange(len(experience.train)))
    model.zero_grad()
    objective.loss(objective.forward(model, batch), batch).mean().backward()


def flat(model: nn.Module) -> Tensor:
    return torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])


def test_after_a_correction_no_memory_is_harmed() -> None:
    model, stream = mlp(dtype=torch.float64), class_stream(dtype=torch.float64, samples=12)
    objective, corrected = Classification(), 0
    gem = ready(stream[:2], model, margin=0.0, samples=None, capacity=1000)
    for _ in range(30):
        task_gradient(model, objective, stream[2])
        before = flat(model)
        gem.adjust(Step(model, objective))
        after = flat(model)
        old = []
        for place in range(2):
            batch = gem.memory[place]
            loss = objective.loss(objective.forward(model, batch), batch).mean()
            old.append(torch.cat([g.flatten() for g in torch.autograd.grad(loss, list(model.parameters()))]))
        harmed = any(float(g @ before) < 0 for g in old)
        assert harmed == (not torch.equal(before, after))
        assert all(float(g @ after) > -1e-10 for g in old)
        corrected += harmed
        with torch.no_grad():
            for p in model.parameters():
                p -= 0.05 * p.grad
    assert corrected > 0


def test_a_step_that_harms_nobody_is_left_alone() -> None:
    """Learning the same once more: the gradient is the memory's own, and margin plays no part."""
    model, same = mlp(), stream_of_opposites()[0]
    gem = ready([same], model, samples=None, capacity=100, margin=0.5)
    task_gradient(model, Classification(), same)
    held = [p.grad for p in model.parameters()]
    gem.adjust(Step(model, Classification()))
    assert all(p.grad is g for p, g in zip(model.parameters(), held, strict=True))


def test_a_contradiction_is_not_learned() -> None:
    model, stream = mlp(), stream_of_opposites()
    gem = ready(stream[:1], model, samples=None, capacity=100, margin=0.0)
    with torch.no_grad():
        for p in model[-1].parameters():
            p.zero_()  # at even odds the two gradients are each other's opposite
    task_gradient(model, one_head(), stream[1])
    assert float(flat(model).norm()) > 0.1
    gem.adjust(Step(model, one_head()))
    assert float(flat(model).norm()) < 1e-6


def test_gradients_are_replaced_in_the_parameters_layout_and_none_stays_none() -> None:
    model, stream = tiny_unet(), mask_stream()
    gem = GradientEpisodicMemory(margin=1.0)
    gem.consolidate(model, Pixels(), stream[0])
    generator = torch.Generator().manual_seed(0)
    for p in model.parameters():
        p.grad = torch.randn(p.shape, generator=generator).to(memory_format=torch.preserve_format)
    model.deep.bias.grad = None
    held = {name: p.grad for name, p in model.named_parameters()}
    kept = through_disk({name: g for name, g in held.items() if g is not None})
    for _ in range(20):  # until one is harmed
        gem.adjust(Step(model, Pixels()))
        if model.down.weight.grad is not held["down.weight"]:
            break
        held = {name: None if g is None else -g for name, g in held.items()}
        kept = through_disk({name: g for name, g in held.items() if g is not None})
        for name, p in model.named_parameters():
            p.grad = held[name]
    assert model.deep.bias.grad is None
    assert all(torch.equal(held[name], value) for name, value in kept.items())
    for p in model.parameters():
        if p.grad is not None:
            assert p.grad.stride() == p.stride()


def test_looking_at_the_memories_leaves_no_trace() -> None:
    model, stream = tiny_unet(), mask_stream()
    gem = GradientEpisodicMemory()
    gem.consolidate(model, Pixels(), stream[0])
    model.train()
    for p in model.parameters():
        p.grad = torch.ones_like(p)
    random, buffers = torch.get_rng_state(), through_disk(dict(model.named_buffers()))
    gem.adjust(Step(model, Pixels()))
    assert torch.equal(torch.get_rng_state(), random)
    assert all(torch.equal(value, buffers[name]) for name, value in model.named_buffers())
    assert all(module.training for module in model.modules())
    assert gem.steps == 1


def test_memories_are_judged_by_their_own_head_without_dropout() -> None:
    """A gradient that is the opposite of the memory's own, in eval mode and its own head, is brought to nothing."""
    model, stream = nn.Sequential(nn.Dropout(0.5), *mlp()).double(), class_stream(dtype=torch.float64)
    gem = GradientEpisodicMemory(capacity=7, margin=0.0)
    gem.consolidate(model, heads(), stream[0])
    batch = gem.memory[0]
    assert set(batch.y.tolist()) <= set(CLASS_SETS[0])
    nn.functional.cross_entropy(model.eval()(batch.x)[:, :2], batch.y).backward()
    for p in model.train().parameters():
        p.grad = -p.grad
    assert float(flat(model).norm()) > 0.1
    gem.adjust(Step(model, heads()))
    assert float(flat(model).norm()) < 1e-12


def test_memories_share_the_capacity() -> None:
    gem, sizes = GradientEpisodicMemory(capacity=31), []
    learner = Learner(mlp(), gem, heads(), Training(batch_size=20))
    kept: list[list[int]] = []
    for progress in learner.fit(class_stream()):
        if progress.kind == "consolidated":
            sizes.append([len(batch) for batch in gem.memory])
            kept.append(gem.memory[0].index.tolist())
            assert [set(batch.task.tolist()) for batch in gem.memory] == [{k} for k in range(len(gem.memory))]
    assert sizes == [[31], [15, 15], [10, 10, 10]]
    assert set(kept[2]) < set(kept[1]) < set(kept[0])
    tiny = ready(class_stream(), mlp(), capacity=2)
    assert [len(batch) for batch in tiny.memory] == [1, 1, 1]
    few = ready(class_stream(samples=4), mlp(), capacity=100)
    assert [len(batch) for batch in few.memory] == [4, 4, 4]


def test_what_is_kept_and_looked_at_is_drawn_by_key() -> None:
    def run(seed: int) -> tuple[Tensor, Tensor]:
        gem = GradientEpisodicMemory(capacity=12, samples=2)
        learner = Learner(mlp(), gem, heads(), Training(batch_size=16, epochs=2, lr=0.02), seed=seed)
        torch.manual_seed(seed + 77)
        learn(learner, class_stream())
        return gem.memory[0].index, torch.cat([p.detach().flatten() for p in learner.model.parameters()])

    (kept, weights), (again, same), (other, _) = run(1), run(1), run(2)
    assert torch.equal(kept, again)
    assert torch.equal(weights, same)
    assert not torch.equal(kept, other)


def test_a_step_looks_at_so_many_samples_of_each_memory() -> None:
    seen: list[list[int]] = []

    class Watched(Classification):
        def loss(self, output: Any, batch: Batch) -> Tensor:
            seen.append(batch.index.tolist())
            return super().loss(output, batch)

    model = mlp()
    gem = ready(class_stream()[:2], model, capacity=20, samples=4)
    gem.seed(Draw(("t",)))
    for _ in range(3):
        task_gradient(model, Classification(), class_stream()[2])
        gem.adjust(Step(model, Watched()))
    assert [len(rows) for rows in seen] == [4] * 6
    assert len({tuple(rows) for rows in seen}) == 6
    assert all(len(set(rows)) == 4 for rows in seen)


def test_the_first_experience_is_finetuning_bit_for_bit() -> None:
    results = []
    for strategy in (Finetuning(), GradientEpisodicMemory()):
        learner = Learner(mlp(), strategy, heads(), Training(batch_size=16, epochs=2, lr=0.02))
        learn(learner, class_stream()[:1])
        results.append(torch.cat([p.detach().flatten() for p in learner.model.parameters()]))
    assert torch.equal(*results)


def test_it_remembers() -> None:
    """A contradiction on one head: what was learned first survives with a memory, and not without."""
    right = {}
    for name, strategy in (("finetuning", Finetuning()), ("gem", GradientEpisodicMemory(100, samples=None))):
        stream = stream_of_opposites()
        learner = Learner(mlp(), strategy, one_head(), Training(batch_size=20, epochs=60, lr=0.02))
        learn(learner, stream)
        first = stream[0].train
        right[name] = float((learner.model(first.x).argmax(1) == first.y).float().mean())
    assert right["finetuning"] < 0.1 < 0.9 < right["gem"]


def test_a_loss_that_is_no_number_is_reported_as_such() -> None:
    learner = Learner(mlp(), GradientEpisodicMemory(), heads(), Training(batch_size=20))
    learn(learner, class_stream()[:1])
    with torch.no_grad():
        learner.model[0].weight.fill_(float("nan"))
    with pytest.raises(DivergenceError):
        learn(learner, class_stream())


def test_without_scipy_it_says_so_at_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "scipy.optimize", None)
    with pytest.raises(ImportError, match="pip install scipy"):
        learn(Learner(mlp(), GradientEpisodicMemory(), heads(), Training()), class_stream(), 1)


def test_what_is_missing_is_said() -> None:
    with pytest.raises(ValueError, match="experience's data"):
        GradientEpisodicMemory().consolidate(mlp())
    model = mlp()
    gem = ready(class_stream()[:1], model)
    task_gradient(model, Classification(), class_stream()[1])
    with pytest.raises(ValueError, match=r"Step\(model, objective\)"):
        gem.adjust(Step(model))


@pytest.mark.parametrize("options", [{"capacity": 0}, {"samples": 0}, {"margin": -0.1}])
def test_wrong_values_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="capacity and samples must be >= 1 and margin >= 0"):
        GradientEpisodicMemory(**options)
