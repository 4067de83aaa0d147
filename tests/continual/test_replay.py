"""The bounded memory and the strategy that learns from it again."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from seamwise.continual import (
    Batch,
    Chain,
    Classification,
    Draw,
    Experience,
    Learner,
    Memory,
    Replay,
    Step,
    TensorDataset,
    Training,
)
from seamwise.continual.memory import _rarest
from seamwise.vision.losses import cross_entropy
from seamwise.vision.objective import Segmentation
from tests.continual.problems import assert_identical, class_stream, flip, heads, learn, mlp, through_disk


def numbered(count: int, y: Tensor | None = None, task: int = 0, start: int = 0) -> Batch:
    """Samples whose content tells their number."""
    index = torch.arange(start, start + count)
    x = index.view(-1, 1).float()
    return Batch.of(x, torch.zeros(count, dtype=torch.int64) if y is None else y, task, index)


def kept(memory: Memory) -> list[int]:
    assert memory.kept is not None
    return sorted(memory.kept.index[: len(memory)].tolist())


def chi_square(counts: Tensor) -> float:
    expected = counts.double().mean()
    return float(((counts - expected) ** 2 / expected).sum())


@pytest.mark.parametrize("chunks", [1, 7])
def test_a_reservoir_keeps_every_sample_with_the_same_probability(chunks: int) -> None:
    counts = torch.zeros(60)
    for trial in range(250):
        memory = Memory(6, "reservoir")
        for place, rows in enumerate(torch.arange(60).tensor_split(chunks)):
            memory.offer(numbered(60).rows(rows), Draw(("t", trial, place)))
        counts[kept(memory)] += 1
    assert counts.sum() == 250 * 6
    assert chi_square(counts) < 59 + 4 * (2 * 59) ** 0.5  # mean and four deviations of chi-square with 59 degrees
    assert chi_square(counts) > 59 - 5 * (2 * 59) ** 0.5


@pytest.mark.parametrize("capacity", [6, 7])
def test_each_group_of_a_balanced_memory_is_a_reservoir(capacity: int) -> None:
    """Also where the places cannot be shared alike: groups one apart must not take turns, keeping the newest alone."""
    y = torch.tensor([0, 1] * 30)
    counts = torch.zeros(60)
    for trial in range(250):
        memory = Memory(capacity, "balanced")
        memory.offer(numbered(60, y), Draw(("t", trial)))
        counts[kept(memory)] += 1
    for group in (counts[y == 0], counts[y == 1]):
        assert chi_square(group) < 29 + 4 * (2 * 29) ** 0.5


def shares(memory: Memory) -> dict[tuple[int, int], int]:
    assert memory.kept is not None
    groups: dict[tuple[int, int], int] = {}
    for task, y in zip(memory.kept.task[: len(memory)].tolist(), memory.kept.y[: len(memory)].tolist(), strict=True):
        groups[task, y] = groups.get((task, y), 0) + 1
    return groups


def test_balanced_groups_share_the_places() -> None:
    memory = Memory(12)
    memory.offer(numbered(100, torch.arange(100) % 2), Draw(("a",)))
    assert shares(memory) == {(0, 0): 6, (0, 1): 6}
    memory.offer(numbered(100, torch.arange(100) % 2, task=1), Draw(("b",)))
    assert shares(memory) == {(t, k): 3 for t in (0, 1) for k in (0, 1)}
    memory.offer(numbered(50, torch.full((50,), 7), task=2), Draw(("c",)))
    assert sorted(shares(memory).values()) == [2, 2, 2, 3, 3]


def test_a_small_group_leaves_its_places_to_the_others() -> None:
    memory = Memory(10)
    memory.offer(numbered(2, torch.zeros(2, dtype=torch.int64)), Draw(("a",)))
    memory.offer(numbered(100, torch.ones(100, dtype=torch.int64), start=2), Draw(("b",)))
    assert shares(memory) == {(0, 0): 2, (0, 1): 8}
    assert kept(memory)[:2] == [0, 1]  # none of the small group was given up


def test_more_groups_than_places() -> None:
    times = dict.fromkeys(range(8), 0)
    for seed in range(400):
        memory = Memory(3)
        for y in range(8):
            memory.offer(numbered(5, torch.full((5,), y)), Draw(("a", seed, y)))
        assert len(memory) == 3
        assert set(shares(memory).values()) == {1}
        for _, y in shares(memory):
            times[y] += 1
    # each group has one of the three places alike often, the oldest as the newest: 150 times, +- 4 standard deviations
    assert all(abs(count - 150) < 4 * (400 * 3 / 8 * 5 / 8) ** 0.5 for count in times.values()), times


@pytest.mark.parametrize("ignore", [255, 200])
def test_masks_are_grouped_by_their_rarest_class(ignore: int) -> None:
    mask = torch.zeros(4, 4, dtype=torch.int64)
    assert _rarest(mask, ignore) == 0
    mask[0], mask[1, :2], mask[2, 0] = 1, 3, ignore
    assert (_rarest(mask, ignore), _rarest(mask, None)) == (3, ignore)
    memory = Memory(4)
    memory.ignore = ignore
    masks = torch.stack([mask] + [torch.zeros_like(mask)] * 9)
    memory.offer(Batch.of(torch.zeros(10, 1, 4, 4), masks), Draw(("a",)))
    memory.offer(Batch.of(torch.zeros(10, 1, 4, 4), masks), Draw(("b",)))
    assert memory.kept is not None
    assert sum(_rarest(m, ignore) == 3 for m in memory.kept.y) == 2  # both pictures with a defect


@pytest.mark.parametrize("policy", ["balanced", "reservoir"])
def test_the_capacity_is_never_exceeded_and_no_sample_kept_twice(policy: Any) -> None:
    memory = Memory(7, policy)
    for place in range(30):
        memory.offer(numbered(4, torch.arange(4) % 3, task=place // 10, start=4 * place), Draw(("t", place)))
        assert len(memory) == min(7, 4 * (place + 1))
        assert len(set(kept(memory))) == len(memory)
        assert memory.kept is not None
        assert torch.equal(memory.kept.x[: len(memory), 0].long(), memory.kept.index[: len(memory)])


def test_the_memory_is_a_function_of_its_keys() -> None:
    def run(key: str) -> list[int]:
        memory = Memory(5, "reservoir")
        torch.manual_seed(len(key))  # torch's own generator plays no part
        memory.offer(numbered(40), Draw((key,)))
        return kept(memory)

    assert run("a") == run("a")
    assert run("a") != run("bb")


def test_samples_are_different_ones_and_a_function_of_the_key() -> None:
    memory = Memory(20, "reservoir")
    assert memory.sample(3, Draw(("s",))) is None
    memory.offer(numbered(20), Draw(("a",)))
    drawn = memory.sample(8, Draw(("s",)))
    assert drawn is not None
    assert len(set(drawn.index.tolist())) == 8
    again, other, everything = (memory.sample(n, Draw((k,))) for n, k in ((8, "s"), (8, "t"), (50, "s")))
    assert again is not None
    assert other is not None
    assert everything is not None
    assert torch.equal(drawn.index, again.index)
    assert not torch.equal(drawn.index, other.index)
    assert sorted(everything.index.tolist()) == list(range(20))


@pytest.mark.parametrize("policy", ["balanced", "reservoir"])
@pytest.mark.parametrize("offers", [0, 1, 4])
def test_a_memory_put_back_goes_on_as_if_never_stopped(policy: Any, offers: int) -> None:
    whole, first, second = Memory(5, policy), Memory(5, policy), Memory(5, policy)

    def offer(memory: Memory, places: range) -> None:
        for place in places:
            memory.offer(numbered(6, torch.arange(6) % 3, start=6 * place), Draw(("t", place)))

    offer(whole, range(8))
    offer(first, range(offers))
    second.load_state_dict(through_disk(first.state_dict()))
    offer(second, range(offers, 8))
    assert_identical(second.state_dict(), whole.state_dict())


def test_a_memory_of_less_room_is_refused() -> None:
    large, small = Memory(8), Memory(4)
    large.offer(numbered(8), Draw(("a",)))
    with pytest.raises(ValueError, match="8 samples, this one has room for 4"):
        small.load_state_dict(large.state_dict())


@pytest.mark.parametrize(
    ("x", "y"),
    [
        (torch.zeros(2, 3), torch.zeros(2, dtype=torch.int64)),
        (torch.zeros(2, 1), torch.zeros(2, 4, 4, dtype=torch.int64)),
        (torch.zeros(2, 1, dtype=torch.uint8), torch.zeros(2, dtype=torch.int64)),
    ],
    ids=["other size", "masks", "other type"],
)
def test_samples_of_another_shape_or_type_are_refused(x: Tensor, y: Tensor) -> None:
    memory = Memory(4, "reservoir")
    memory.offer(numbered(2), Draw(("a",)))
    with pytest.raises(ValueError, match="the memory holds samples of shape"):
        memory.offer(Batch.of(x, y), Draw(("b",)))


def test_a_memory_needs_room() -> None:
    with pytest.raises(ValueError, match="at least one"):
        Memory(0)


@pytest.mark.parametrize("online", [False, True])
def test_pixels_without_a_label_are_no_class_to_the_memory(online: bool) -> None:
    x, y = torch.zeros(8, 1, 4, 4), torch.zeros(8, 4, 4, dtype=torch.int64)
    y[:, 0], y[:, 1, 0] = 1, 200
    replay = Replay(4, online=online)
    model = nn.Conv2d(1, 3, 1)
    learner = Learner(model, replay, Segmentation(cross_entropy, ignore=200), Training(batch_size=8))
    learn(learner, [Experience(0, "a", TensorDataset(x, y))])
    assert set(replay.memory.group) == {(0, 1)}


@pytest.mark.parametrize(
    ("share", "weight", "rows"), [(1.0, 1.0, 4), (0.5, 3.0, 2), (2.0, 0.25, 8), (0.1, 1.0, 1), (0.0, 1.0, 0)]
)
def test_current_samples_keep_their_weight_and_replayed_ones_get_theirs(share: float, weight: float, rows: int) -> None:
    replay = Replay(20, share=share, weight=weight)
    replay.memory.offer(numbered(30, start=100), Draw(("a",)))
    batch = replay.extend(numbered(4, task=3))
    assert len(batch) == 4 + rows
    assert float(batch.weight[:4].sum()) == pytest.approx(1.0)
    assert float(batch.weight[4:].sum()) == pytest.approx(weight if rows else 0.0)
    assert batch.task.tolist() == [3] * 4 + [0] * rows
    assert bool((batch.index[4:] >= 100).all())


def test_an_empty_memory_adds_nothing() -> None:
    batch = numbered(4)
    assert Replay().extend(batch) is batch


def test_each_step_draws_anew() -> None:
    replay = Replay(20)
    replay.memory.offer(numbered(20), Draw(("a",)))
    draws = [tuple(replay.extend(numbered(5)).index[5:].tolist()) for _ in range(4)]
    assert len(set(draws)) == 4


def test_the_seed_of_the_learner_decides_what_is_kept() -> None:
    def run(seed: int) -> Tensor:
        replay = Replay(9)
        learn(Learner(mlp(), replay, heads(), Training(), seed=seed), class_stream())
        assert replay.memory.kept is not None
        return replay.memory.kept.index

    assert torch.equal(run(1), run(1))
    assert not torch.equal(run(1), run(2))


def test_the_memory_is_filled_when_an_experience_ends() -> None:
    replay = Replay(12)
    learner = Learner(mlp(), replay, heads(), Training(batch_size=16))
    sizes = [(p.kind, p.experience.index, len(replay.memory)) for p in learner.fit(class_stream())]
    assert ("step", 0, 0) in sizes
    assert ("consolidated", 0, 12) in sizes
    assert shares(replay.memory) == {(task, 2 * task + k): 2 for task in range(3) for k in (0, 1)}


@pytest.mark.parametrize("policy", ["balanced", "reservoir"])
def test_online_replay_needs_no_boundaries(policy: Any) -> None:
    replay = Replay(6, policy=policy, online=True)
    model, lengths = mlp(), []
    for step in range(5):
        lengths.append(len(replay.extend(numbered(4, start=4 * step))))
        replay.after_step(Step(model))
    assert lengths == [4, 8, 8, 8, 8]  # a batch does not replay itself
    assert len(replay.memory) == 6
    before = replay.state_dict()
    replay.consolidate(mlp())
    replay.consolidate(mlp(), heads(), class_stream()[0])
    assert_identical(replay.state_dict(), before)


def test_raw_samples_are_kept_and_augmented_anew() -> None:
    """The memory holds what the data set gave; augmentation comes after the replayed samples joined."""
    replay = Replay(8)
    stream = class_stream()
    seen: list[int] = []

    def augment(batch: Batch, draw: Draw) -> Batch:
        seen.append(len(batch))
        return flip(batch, draw)

    learn(Learner(mlp(), replay, heads(), Training(batch_size=20), augment=augment), stream[:2])
    assert seen == [20, 20, 28, 28]
    assert replay.memory.kept is not None
    for x, task, index in zip(replay.memory.kept.x, replay.memory.kept.task, replay.memory.kept.index, strict=True):
        assert torch.equal(x, stream[int(task)].train.x[index])


def test_replay_remembers() -> None:
    """Forgetting of the first experience on a shared head, with and without a memory."""
    errors = {}
    for capacity in (1, 30):
        stream = class_stream()
        learner = Learner(mlp(), Chain(Replay(capacity)), Classification(), Training(batch_size=16, epochs=20, lr=0.02))
        learn(learner, stream)
        data = stream[0].train
        wrong = learner.model(data.x).argmax(1) != data.y
        errors[capacity] = float(wrong.float().mean())
    assert errors[30] < 0.2 < 0.8 < errors[1]
