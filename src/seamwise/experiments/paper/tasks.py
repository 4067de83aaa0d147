"""The tasks of an experiment: labelled pictures in tensors, made into a stream."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from seamwise.continual import Batch, Draw, Experience
from seamwise.continual.stream import Concatenation
from seamwise.experiments.paper.figure import Appended, Permuted, Setting, Split
from seamwise.experiments.sets import LabelledSet


class Pixels:
    """Pictures of 8 bits that become numbers from 0 to 1 as they are asked for; a dataset of the learning core.

    x: (N, ...) uint8. permutation: (D,) order of the D pixels of a picture, which is flat then. standardise: mean and
    standard deviation that are taken out.
    """

    def __init__(
        self,
        x: Tensor,
        y: Tensor,
        task: int,
        permutation: Tensor | None = None,
        standardise: tuple[float, float] | None = None,
    ) -> None:
        self.x, self.y, self.task, self.permutation, self.standardise = x, y, task, permutation, standardise

    def __len__(self) -> int:
        return self.x.shape[0]

    def batch(self, indices: Tensor, draw: Draw | None = None) -> Batch:
        x = self.x[indices]
        if self.permutation is not None:
            x = x[:, self.permutation]
        x = x.float().div_(255)
        if self.standardise is not None:
            x.sub_(self.standardise[0]).div_(self.standardise[1])
        return Batch.of(x, self.y[indices], self.task, indices)

    def first(self, count: int | None) -> Pixels:
        """The first samples only."""
        return Pixels(self.x[:count], self.y[:count], self.task, self.permutation, self.standardise)


@dataclass(frozen=True)
class Task:
    """One task: what is learned, what is judged, and the class ids it brings. held_out: judged too, for choosing."""

    name: str
    train: Pixels
    test: Pixels
    held_out: Pixels
    classes: tuple[int, ...]


@dataclass(frozen=True)
class Tasks:
    """All tasks of a run. outputs: size of the output layer. masks: task -> classes it may answer, where it matters."""

    tasks: tuple[Task, ...]
    outputs: int
    masks: Mapping[int, Sequence[int]]

    def stream(self, only: int | None = None) -> list[Experience]:
        """The experiences in order, or one of them alone."""
        chosen = list(enumerate(self.tasks)) if only is None else [(only, self.tasks[only])]
        return [Experience(i, t.name, t.train, t.classes, task=j) for i, (j, t) in enumerate(chosen)]

    def joint(self) -> list[Experience]:
        """All tasks as one experience."""
        return [Experience(0, "all tasks", Concatenation([task.train for task in self.tasks]))]


def make_tasks(setting: Setting, sets: Mapping[str, LabelledSet], seed: int) -> Tasks:
    """The tasks of a setting from its sets. seed: of the permutations."""
    own = _sides(sets[setting.data], setting)
    if isinstance(setting.tasks, Split):
        return _split(setting, own, setting.tasks)
    if isinstance(setting.tasks, Permuted):
        return _permuted(setting, own, setting.tasks, seed)
    return _appended(setting, own, _sides(sets[setting.tasks.further], setting), setting.tasks)


@dataclass(frozen=True)
class Side:
    """Pictures and their classes in the set."""

    x: Tensor
    y: Tensor
    standardise: tuple[float, float] | None

    def rows(self, rows: slice | Tensor) -> Side:
        return Side(self.x[rows], self.y[rows], self.standardise)

    def of(self, classes: Sequence[int], labels: Tensor, task: int) -> Pixels:
        """The samples of some classes; labels: what each class of the set is called in the task."""
        chosen = torch.isin(self.y, torch.tensor(classes))
        return Pixels(self.x[chosen], labels[self.y[chosen]], task, None, self.standardise)


Sides = tuple[Side, Side, Side]  # to learn from, to judge by, and kept apart of the former


def _sides(found: LabelledSet, setting: Setting) -> Sides:
    """The sides of a set, mixed once and for all; flat pictures for a perceptron."""
    order = torch.randperm(len(found.y), generator=Draw(("order of the set", found.name)).generator())

    def side(x: Tensor, y: Tensor) -> Side:
        x = F.pad(x, [setting.pad] * 4)
        return Side(x.flatten(1) if setting.hidden else x, y, setting.standardise)

    whole, test = side(found.x[order], found.y[order]), side(found.x_test, found.y_test)
    kept = len(order) - setting.held_out
    return whole.rows(slice(kept)), test, whole.rows(slice(kept, None))


def _task(setting: Setting, name: str, sides: Sides, classes: Sequence[int], task: int, labels: Tensor) -> Task:
    train, test, held_out = (side.of(classes, labels, task) for side in sides)
    return Task(name, train.first(setting.limit), test, held_out, tuple(labels[list(classes)].tolist()))


def _split(setting: Setting, sides: Sides, split: Split) -> Tasks:
    count = 1 + max(max(group) for group in split.groups)
    tasks = []
    for number, group in enumerate(split.groups):
        labels = torch.arange(count)
        if split.scenario == "domain":
            labels[list(group)] = torch.arange(len(group))
        name = " or ".join(map(str, group)) if len(group) < 4 else f"{group[0]} to {group[-1]}"
        tasks.append(_task(setting, name, sides, group, number, labels))
    masks = dict(enumerate(split.groups)) if split.scenario == "task" else {}
    outputs = max(map(len, split.groups)) if split.scenario == "domain" else count
    return Tasks(tuple(tasks), outputs, masks)


def _permuted(setting: Setting, sides: Sides, permuted: Permuted, seed: int) -> Tasks:
    classes, pixels = tuple(range(int(sides[0].y.max()) + 1)), sides[0].x.shape[1]
    tasks = []
    for number in range(permuted.count):
        order = torch.randperm(pixels, generator=Draw(("permutation", seed, number)).generator())
        shuffle = None if number == 0 and permuted.first_as_is else order
        train, test, held_out = (Pixels(side.x, side.y, number, shuffle, side.standardise) for side in sides)
        tasks.append(Task(f"task {number + 1}", train.first(setting.limit), test, held_out, classes))
    return Tasks(tuple(tasks), len(classes), {})


def _appended(setting: Setting, first: Sides, further: Sides, appended: Appended) -> Tasks:
    own, others = int(first[0].y.max()) + 1, int(further[0].y.max()) + 1
    tasks = [_task(setting, "task 1", first, range(own), 0, torch.arange(own))]
    for start in range(0, others, appended.group):
        group, number = range(start, start + appended.group), len(tasks)
        tasks.append(_task(setting, f"task {number + 1}", further, group, number, torch.arange(others) + own))
    return Tasks(tuple(tasks), own + others, {number: task.classes for number, task in enumerate(tasks)})
