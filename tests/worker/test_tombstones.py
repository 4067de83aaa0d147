"""Samples in memories know their images."""

from __future__ import annotations

import hashlib

import pytest
import torch

from seamwise.continual import build_strategy
from seamwise.continual.batch import Batch
from seamwise.continual.draw import Draw
from seamwise.continual.stream import Experience, TensorDataset
from seamwise.worker.tombstones import forget, tile_numbers


def sha256(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()


class Numbered(TensorDataset):
    """Samples with tile numbers of three images: of two, three and one tile."""

    def __init__(self) -> None:
        super().__init__(torch.arange(6.0)[:, None], torch.zeros(6, dtype=torch.int64))
        self.numbers = tile_numbers([sha256(name)[:16] for name in "abc"], [2, 5, 6])

    def batch(self, indices: torch.Tensor, draw: Draw | None = None) -> Batch:
        batch = super().batch(indices, draw)
        return Batch.of(batch.x, batch.y, self.task, self.numbers[indices])


def test_numbers_tell_image_and_place() -> None:
    numbers = Numbered().numbers.tolist()
    assert len(set(numbers)) == 6
    assert [number & 3 for number in numbers] == [0, 1, 0, 1, 2, 0]
    assert [number >> 22 for number in numbers] == [int(sha256(name)[:10], 16) for name in "aabbbc"]
    assert max(numbers) < 2**62


def test_names_that_are_no_hashes_are_images_that_nobody_deletes() -> None:
    numbers = tile_numbers(["film 1", "film 2"], [2, 3])
    assert len(set(numbers.tolist())) == 3
    kept, lost = forget({"memory.index": numbers}, [sha256("a"), sha256("b")])
    assert (len(kept["memory.index"]), lost) == (3, 0)


@pytest.mark.parametrize(
    ("name", "column"),
    [("replay", "memory.x"), ("si+replay", "1/memory.x"), ("gem", "0.x"), ("replay+gem", "1/0.x")],
)
def test_every_memory_forgets_the_samples_of_deleted_images(name: str, column: str) -> None:
    strategy = build_strategy(name, {"capacity": 50})
    model = torch.nn.Linear(1, 2)
    strategy.begin(model)
    strategy.consolidate(model, None, Experience(0, "a", Numbered()))
    state = strategy.state_dict()
    kept, lost = forget(state, [sha256("b"), sha256("never seen")])
    memories = name.count("replay") + name.count("gem")
    assert lost == 3 * memories
    assert sorted(kept[column].flatten().tolist()) == [0, 1, 5]
    again = build_strategy(name, {"capacity": 50})
    again.begin(model)
    again.load_state_dict(kept)
    assert again.state_dict().keys() == kept.keys()
    assert torch.equal(again.state_dict()[column], kept[column])
    assert len(state[column]) == 6  # the parent's own stays


def test_a_memory_of_gem_that_is_left_empty_goes() -> None:
    strategy = build_strategy("gem", {"capacity": 50})
    for place in range(2):
        strategy.consolidate(torch.nn.Linear(1, 2), None, Experience(place, "a", Numbered()))
    state = strategy.state_dict()
    state["0.index"] = torch.full_like(state["0.index"], int(sha256("z")[:10], 16) << 22)
    kept, _ = forget(state, [sha256("z")])
    assert kept["memories"] == 1
    assert {key.partition(".")[0] for key in kept if "." in key} == {"0"}
    build_strategy("gem", {"capacity": 50}).load_state_dict(kept)


def test_a_strategy_without_memory_stays_as_it_is() -> None:
    state = {"experiences": 1, "importance.weight": torch.ones(3)}
    kept, lost = forget(state, [sha256("a")])
    assert (kept, lost) == (state, 0)
