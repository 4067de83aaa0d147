"""What an experiment of the paper is, as data: one setting, the lines of the figure, and how often each is run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from seamwise.continual import Training
from seamwise.experiments.paper.networks import Initial

Scenario = Literal["task", "domain", "class"]


@dataclass(frozen=True)
class Split:
    """The classes of one set in groups, a task each.

    scenario (van de Ven and Tolias 2019): "task", the softmax is masked to the task's classes in training and testing;
    "domain", every task answers with the same outputs, a class's place in its group; "class", all classes compete.
    """

    groups: tuple[tuple[int, ...], ...]
    scenario: Scenario = "task"


@dataclass(frozen=True)
class Permuted:
    """The whole set with its pixels shuffled, every task by a permutation of its own; the first may stay as it is."""

    count: int
    first_as_is: bool = True


@dataclass(frozen=True)
class Appended:
    """A whole first set, then `further` in groups of consecutive classes; each task answers its own classes only."""

    further: str
    group: int = 10


@dataclass(frozen=True)
class Setting:
    """Data, network and training of a run.

    data: name of a set, see `seamwise.experiments.sets`. hidden: units of the layers of a perceptron; none: the
    convolutional network. zero_head: the output layer starts at zero. held_out: so many training samples of the set
    are kept apart and judged beside the test set, for choosing strengths. train_judged: how many training samples of a
    task are judged beside the test set (None: all). limit: use so many training samples of each task (None: all).
    correlations: measure how the path integrals of the hidden layers' weights correlate across tasks. pad: so many
    black pixels are put around each picture. standardise: mean and standard deviation that are taken out of the pixels
    (0..1). init: how weights begin, see `networks`.
    """

    data: str
    tasks: Split | Permuted | Appended
    training: Training
    hidden: tuple[int, ...] = ()
    dropout: float = 0.0
    zero_head: bool = False
    held_out: int = 0
    train_judged: int | None = None
    limit: int | None = None
    correlations: bool = False
    pad: int = 0
    standardise: tuple[float, float] | None = None
    init: Initial = "glorot"

    def changed(self, changes: Mapping[str, Any]) -> Setting:
        """With other values, by the name of a field here, of the training or of the tasks."""
        own, training, tasks = {}, {}, {}
        for name, value in changes.items():
            if name in Setting.__dataclass_fields__:
                own[name] = value
            elif name in Training.__dataclass_fields__:
                training[name] = value
            else:
                tasks[name] = value
        whole = replace(self, training=replace(self.training, **training), tasks=replace(self.tasks, **tasks))
        return replace(whole, **own)


@dataclass(frozen=True)
class Line:
    """One line of a figure: a strategy with its parameters, and what it changes of the setting."""

    label: str
    strategy: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    changes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Figure:
    """An experiment: its lines are run `seeds` times each in one setting."""

    name: str
    title: str
    setting: Setting
    lines: tuple[Line, ...]
    seeds: int = 1
    quick: bool = False
    first: str | None = None  # the line that is run before the others, which go on from its first task

    def __post_init__(self) -> None:
        assert len({line.label for line in self.lines}) == len(self.lines), "labels of lines are unlike"

    def line(self, label: str) -> Line:
        return next(line for line in self.lines if line.label == label)

    def setting_of(self, line: Line) -> Setting:
        return self.setting.changed(line.changes)


# Fields that settings did not always have: at these values they change nothing, so results without them stay valid.
_LATER = {"pad": 0, "standardise": None, "init": "glorot"}


def plain(setting: Setting) -> dict[str, Any]:
    """A setting as JSON values, as they come back from a file."""
    values = {name: value for name, value in asdict(setting).items() if _LATER.get(name, ...) != value}
    values["training"] = setting.training.values()
    values["tasks"] = {"kind": type(setting.tasks).__name__, **asdict(setting.tasks)}
    return dict(json.loads(json.dumps(values)))
