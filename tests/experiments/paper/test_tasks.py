"""The tasks of the paper's experiments."""

from __future__ import annotations

import torch

from seamwise.continual import Draw, Training
from seamwise.experiments.paper.figure import Appended, Permuted, Setting, Split, plain
from seamwise.experiments.paper.tasks import Pixels, make_tasks
from seamwise.experiments.sets import LabelledSet

CLASSES = 6


def made_up(name: str = "made up", classes: int = CLASSES, each: int = 10) -> LabelledSet:
    """Pictures of 2 x 3 pixels that all differ; the first pixel is the class, the second tells train from test."""
    y = torch.arange(classes).repeat_interleave(each)
    x = torch.stack([y, torch.zeros_like(y), torch.arange(len(y))], 1).repeat(1, 2).view(-1, 2, 3).to(torch.uint8)
    x_test, y_test = x.clone(), y.clone()
    x_test[:, :, 1] = 255
    return LabelledSet(name, x, y, x_test, y_test, tuple(map(str, range(classes))), "digest")


def setting(**changes: object) -> Setting:
    bare = Setting(data="a", tasks=Split(((0, 1), (2, 3), (4, 5))), training=Training(), hidden=(4,))
    return bare.changed(changes)


def everything(samples: Pixels) -> tuple[torch.Tensor, torch.Tensor]:
    batch = samples.batch(torch.arange(len(samples)))
    return batch.x, batch.y


def test_pictures_are_padded_and_standardised_on_all_sides() -> None:
    padded = setting(pad=1, standardise=(0.5, 0.25), held_out=6)
    for task, untouched in zip(
        make_tasks(padded, {"a": made_up()}, seed=0).tasks,
        make_tasks(setting(held_out=6), {"a": made_up()}, seed=0).tasks,
        strict=True,
    ):
        for side in ("train", "test", "held_out"):
            x, y = everything(getattr(task, side))
            bare, labels = everything(getattr(untouched, side))
            assert torch.equal(y, labels)
            x = x.view(-1, 4, 5)
            torch.testing.assert_close(x[:, 1:-1, 1:-1].flatten(1), (bare - 0.5) / 0.25)
            assert bool((x[:, [0, -1]] == -2).all() and (x[:, :, [0, -1]] == -2).all())
        assert torch.equal(task.train.first(2).batch(torch.arange(2)).x, everything(task.train)[0][:2])


def test_what_settings_did_not_always_have_does_not_count_at_its_default() -> None:
    assert not {"pad", "standardise", "init"} & set(plain(setting()))
    assert plain(setting(pad=2, standardise=(0.1, 0.2)))["standardise"] == [0.1, 0.2]


def test_a_split_gives_each_task_its_classes_and_its_mask() -> None:
    tasks = make_tasks(setting(), {"a": made_up()}, seed=0)
    assert tasks.masks == {0: (0, 1), 1: (2, 3), 2: (4, 5)}
    assert tasks.outputs == 6
    for number, task in enumerate(tasks.tasks):
        for side, mark in ((task.train, 0.0), (task.test, 1.0)):
            x, y = everything(side)
            assert sorted(set(y.tolist())) == list(tasks.masks[number])
            assert torch.equal((x[:, 0] * 255).round().long(), y)  # pictures stay with their classes
            assert set(x[:, 1].tolist()) == {mark}
        assert len(task.train) == len(task.test) == 20


def test_domain_incremental_tasks_share_their_outputs() -> None:
    tasks = make_tasks(setting(scenario="domain"), {"a": made_up()}, seed=0)
    assert tasks.outputs == 2
    assert not tasks.masks
    x, y = everything(tasks.tasks[2].train)
    assert torch.equal((x[:, 0] * 255).round().long() - 4, y)


def test_class_incremental_tasks_compete() -> None:
    tasks = make_tasks(setting(scenario="class"), {"a": made_up()}, seed=0)
    assert (tasks.outputs, dict(tasks.masks)) == (6, {})
    assert [task.classes for task in tasks.tasks] == [(0, 1), (2, 3), (4, 5)]


def test_permuted_tasks_show_the_same_pictures_in_other_orders() -> None:
    given = {"a": made_up()}
    tasks = make_tasks(setting(tasks=Permuted(4)), given, seed=0).tasks
    plain, _ = everything(tasks[0].train)
    orders = set()
    for task in tasks:
        (x, y), (x_test, y_test) = everything(task.train), everything(task.test)
        assert torch.equal(x.sort(1).values, plain.sort(1).values)
        assert task.train.permutation is task.test.permutation
        assert torch.equal(y, everything(tasks[0].train)[1])
        assert torch.equal(y_test, given["a"].y_test)
        assert x_test.shape == x.shape
        orders.add(tuple(range(6) if task.train.permutation is None else task.train.permutation.tolist()))
    assert len(orders) == 4
    assert tasks[0].train.permutation is None
    again = make_tasks(setting(tasks=Permuted(4)), given, seed=0).tasks
    other = make_tasks(setting(tasks=Permuted(4)), given, seed=1).tasks
    assert torch.equal(everything(tasks[2].train)[0], everything(again[2].train)[0])
    assert not torch.equal(everything(tasks[2].train)[0], everything(other[2].train)[0])


def test_an_appended_set_gets_classes_of_its_own() -> None:
    own = setting(tasks=Appended("b", group=2))
    tasks = make_tasks(own, {"a": made_up(classes=3), "b": made_up("b", classes=4)}, seed=0)
    assert tasks.masks == {0: (0, 1, 2), 1: (3, 4), 2: (5, 6)}
    assert tasks.outputs == 7
    x, y = everything(tasks.tasks[2].train)
    assert torch.equal((x[:, 0] * 255).round().long() + 3, y)


def test_what_is_held_out_is_not_learned_from() -> None:
    tasks = make_tasks(setting(held_out=15), {"a": made_up()}, seed=0).tasks
    learned = {value for task in tasks for value in everything(task.train)[0][:, 2].tolist()}
    kept = {value for task in tasks for value in everything(task.held_out)[0][:, 2].tolist()}
    assert (len(learned), len(kept)) == (45, 15)
    assert not learned & kept
    assert {everything(task.held_out)[0][0, 1].item() for task in tasks if len(task.held_out)} == {0.0}


def test_a_limit_and_joint_training() -> None:
    tasks = make_tasks(setting(limit=7), {"a": made_up()}, seed=0)
    assert [len(task.train) for task in tasks.tasks] == [7, 7, 7]
    (whole,) = tasks.joint()
    batch = whole.train.batch(torch.arange(21), Draw(("test",)))
    assert sorted(set(batch.task.tolist())) == [0, 1, 2]
    assert [e.task_id for e in tasks.stream()] == [0, 1, 2]
    assert [(e.index, e.task_id) for e in tasks.stream(only=2)] == [(0, 2)]
