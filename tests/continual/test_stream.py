"""Batches, data sets and experiences."""

from __future__ import annotations

import pytest
import torch

from seamwise.continual import (
    Batch,
    Concatenation,
    Dataset,
    Draw,
    Experience,
    Learner,
    TensorDataset,
    Training,
    concatenate,
)
from seamwise.continual.strategy import Strategy
from tests.continual.problems import class_stream, heads, learn, mlp

DRAW = Draw(("t",))


def numbers(start: int, count: int, task: int) -> TensorDataset:
    x = torch.arange(start, start + count).view(-1, 1).float()
    return TensorDataset(x, x[:, 0].long() * 10, task)


def test_batch_of_one_experience() -> None:
    batch = Batch.of(torch.zeros(4, 2), torch.arange(4), task=3)
    assert batch.task.tolist() == [3] * 4
    assert batch.index.tolist() == [0, 1, 2, 3]
    assert float(batch.weight.sum()) == 1.0
    assert len(batch) == 4


def test_rows_by_index_and_by_mask() -> None:
    batch = Batch(*numbers(0, 4, 1).batch(torch.arange(4)).__dict__.values())
    batch.extra["logits"] = torch.arange(4)
    for keep in (torch.tensor([1, 3]), torch.tensor([False, True, False, True])):
        rows = batch.rows(keep)
        assert rows.y.tolist() == [10, 30]
        assert rows.extra["logits"].tolist() == [1, 3]
        assert rows.weight.tolist() == [0.25, 0.25]


def test_moving_and_augmenting_keep_the_rest() -> None:
    batch = numbers(0, 3, 1).batch(torch.arange(3))
    batch.extra["logits"] = torch.arange(3)
    meta = batch.to("meta")
    assert {t.device.type for t in (meta.x, meta.y, meta.task, meta.index, meta.weight, meta.extra["logits"])} == {
        "meta"
    }
    changed = batch.with_inputs(batch.x + 1, batch.y)
    assert changed.x[0, 0] == 1
    assert changed.task is batch.task
    assert changed.extra is batch.extra


def test_concatenate_keeps_what_all_carry() -> None:
    one, two = numbers(0, 2, 0).batch(torch.arange(2)), numbers(5, 3, 1).batch(torch.arange(3))
    one.extra.update(logits=torch.zeros(2), only=torch.zeros(2))
    two.extra.update(logits=torch.ones(3))
    both = concatenate([one, two])
    assert both.x[:, 0].tolist() == [0, 1, 5, 6, 7]
    assert both.task.tolist() == [0, 0, 1, 1, 1]
    assert both.extra.keys() == {"logits"}
    assert both.extra["logits"].tolist() == [0, 0, 1, 1, 1]


def test_tensor_dataset() -> None:
    data = numbers(0, 5, 2)
    assert isinstance(data, Dataset)
    assert len(data) == 5
    batch = data.batch(torch.tensor([4, 1]), DRAW)
    assert batch.y.tolist() == [40, 10]
    assert batch.index.tolist() == [4, 1]
    with pytest.raises(ValueError, match="3 inputs but 2 targets"):
        TensorDataset(torch.zeros(3, 1), torch.zeros(2))


def test_concatenated_data_sets_are_one_in_any_order() -> None:
    joint = Concatenation([numbers(0, 3, 0), numbers(0, 0, 1), numbers(3, 4, 2)])
    assert isinstance(joint, Dataset)
    assert len(joint) == 7
    wanted = torch.tensor([6, 0, 3, 2, 3])
    batch = joint.batch(wanted, DRAW)
    assert batch.x[:, 0].tolist() == wanted.tolist()
    assert batch.y.tolist() == (10 * wanted).tolist()
    assert batch.task.tolist() == [2, 0, 2, 0, 2]
    assert torch.equal(batch.index, wanted)
    assert float(batch.weight.sum()) == pytest.approx(1)


def test_parts_of_a_concatenation_draw_for_themselves() -> None:
    class Noisy(TensorDataset):
        def batch(self, indices: torch.Tensor, draw: Draw | None = None) -> Batch:
            assert draw is not None
            return (
                super()
                .batch(indices)
                .with_inputs(torch.rand(len(indices), 1, generator=draw.generator()), self.y[indices])
            )

    part = Noisy(torch.zeros(3, 1), torch.zeros(3))
    joint = Concatenation([part, part])
    one, two = joint.batch(torch.tensor([0]), DRAW), joint.batch(torch.tensor([3]), DRAW)
    assert not torch.equal(one.x, two.x)
    assert torch.equal(one.x, joint.batch(torch.tensor([0]), DRAW).x)


def test_the_task_of_an_experience_is_its_place_unless_said() -> None:
    data = numbers(0, 1, 0)
    assert Experience(4, "e", data).task_id == 4
    assert Experience(4, "e", data, task=0).task_id == 0


@pytest.mark.parametrize("batch_size", [1, 7, 16, 40, 100])
def test_every_sample_once_an_epoch_in_a_new_order(batch_size: int) -> None:
    log: list[tuple[int, torch.Tensor]] = []
    stream = class_stream(log=log)[:1]
    learn(Learner(mlp(), Strategy(), heads(), Training(batch_size=batch_size, epochs=2)), stream)
    rows = torch.cat([indices for _, indices in log]).view(2, 40)
    assert torch.equal(rows.sort(dim=1).values, torch.arange(40).expand(2, -1))
    assert not torch.equal(rows[0], rows[1])
    assert not torch.equal(rows[0], torch.arange(40))


def test_a_number_of_steps_in_place_of_epochs() -> None:
    log: list[tuple[int, torch.Tensor]] = []
    learn(Learner(mlp(), Strategy(), heads(), Training(batch_size=16, steps=7)), class_stream(log=log)[:1])
    assert [len(rows) for _, rows in log] == [16, 16, 8, 16, 16, 8, 16]
