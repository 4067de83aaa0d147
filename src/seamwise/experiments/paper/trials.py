"""One run of a figure: a line and a seed, learned task by task and judged after each."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from seamwise.continual import Chain, Classification, Experience, Learner, Progress, build_strategy
from seamwise.continual.catalogue import protocol, settled
from seamwise.continual.metrics import summary
from seamwise.errors import BadInputError
from seamwise.experiments.event import Event
from seamwise.experiments.failures import explained
from seamwise.experiments.leg import Leg, one_after_another
from seamwise.experiments.paper.accuracy import accuracy
from seamwise.experiments.paper.catalogue import find_figure
from seamwise.experiments.paper.correlation import KeepPaths, check_paths, correlations
from seamwise.experiments.paper.figure import Figure, Line, Setting, plain
from seamwise.experiments.paper.first_task import fetch_first_task, keep_first_task, leg_name
from seamwise.experiments.paper.networks import convolutional, perceptron
from seamwise.experiments.paper.tasks import Tasks, make_tasks
from seamwise.experiments.run_folder import claimed
from seamwise.experiments.sets import open_set


@dataclass(frozen=True)
class Trial:
    """What is run. data: folder of the sets (None: the cache). digests: of the sets, by name."""

    figure: Figure
    line: Line
    seed: int
    data: Path | None
    digests: Mapping[str, str]
    device: str = "cpu"

    @property
    def strategy(self) -> str:
        return self.line.strategy

    @property
    def label(self) -> str:
        return self.line.label

    @property
    def setting(self) -> Setting:
        return self.figure.setting_of(self.line)

    @property
    def parameters(self) -> Mapping[str, Any]:
        """What was chosen for the line, of its strategy and its setting."""
        return {**self.line.parameters, **self.line.changes}

    @property
    def all_parameters(self) -> dict[str, Any]:
        """The strategy's parameters with their defaults filled in, and what the line changes of the setting."""
        chosen = settled(self.strategy, self.line.parameters) | dict(self.line.changes)
        return dict(json.loads(json.dumps(chosen)))

    def identity(self) -> dict[str, Any]:
        values = {
            "figure": self.figure.name,
            "setting": plain(self.setting),
            "data": dict(self.digests),
            "strategy": self.strategy,
            "parameters": self.all_parameters,
            "seed": self.seed,
        }
        return dict(json.loads(json.dumps(values)))

    def job(self) -> dict[str, Any]:
        """What a process of its own needs to do this run."""
        return {
            "kind": "figure",
            "figure": self.figure.name,
            "quick": self.figure.quick,
            "line": self.line.label,
            "seed": self.seed,
            "data": None if self.data is None else str(self.data),
            "digests": dict(self.digests),
            "device": self.device,
        }

    @staticmethod
    def of_job(job: Mapping[str, Any]) -> Trial:
        figure = find_figure(job["figure"], quick=job["quick"])
        data = None if job["data"] is None else Path(job["data"])
        return Trial(figure, figure.line(job["line"]), job["seed"], data, job["digests"], job["device"])


def sets_of(setting: Setting) -> list[str]:
    """Names of the sets a setting needs."""
    return [setting.data, *([setting.tasks.further] if hasattr(setting.tasks, "further") else [])]


def execute(trial: Trial, folder: Path | None = None, *, allow_other_machine: bool = False) -> Iterator[Event]:
    """Runs to the end, yielding events; the last one carries the result row.

    folder: where the run is kept at the end of every epoch; one found there is continued, bit for bit. Raises
    RefusedError if the folder holds another run, BadInputError where the data are not those the run began with.
    """
    with ExitStack() as stack:
        stack.enter_context(explained())
        if folder is not None:
            stack.enter_context(claimed(folder, trial.identity()))
        sets = {name: _open_once(name, trial.data) for name in sets_of(trial.setting)}
        for name, found in sets.items():
            if found.digest != trial.digests[name]:
                raise BadInputError(f"{name}: the data changed while the runs were going on; start again")
        yield from _go(trial, make_tasks(trial.setting, sets, trial.seed), folder, allow_other_machine)


# A process takes run after run, and to unpack and check a set takes as long as some hundred steps of a small network.
_open_once = lru_cache(maxsize=2)(open_set)


def _go(trial: Trial, tasks: Tasks, folder: Path | None, allow: bool) -> Iterator[Event]:
    kind, count = protocol(trial.strategy), len(tasks.tasks)
    ways: list[int | None] = list(range(count)) if kind == "separate" else [None]
    finished: list[Leg] = []
    builders = [partial(_leg, trial, tasks, way, folder, allow) for way in ways]
    for event in one_after_another(builders, partial(_epoch_ends, trial.setting.training.batch_size), finished):
        if event.kind == "evaluated" and event.experience == tasks.tasks[0].name and folder is not None:
            keep_first_task(trial, folder)
        yield event
    lines = [line for leg in finished for line in leg.lines]
    matrices = {side: [line[side] for line in lines] for side in ("test", "train", "held_out") if side in lines[0]}
    if kind == "separate":
        matrices = {side: [[scores[i] for i, scores in enumerate(matrix)]] for side, matrix in matrices.items()}
    R = matrices.pop("test")
    row: dict[str, Any] = {
        "line": trial.line.label,
        "strategy": trial.strategy,
        "parameters": trial.all_parameters,
        "seed": trial.seed,
        "R": R,
        **{f"R_{side}": matrix for side, matrix in matrices.items()},
        **summary(R),
        "seconds": round(sum(leg.seconds for leg in finished), 1),
    }
    if trial.setting.correlations and folder is not None:
        row["correlations"] = correlations(folder, count)
    yield Event("done", tasks.tasks[-1].name, 1.0, row=row)


def _epoch_ends(batch_size: int, progress: Progress) -> bool:
    return progress.step % -(-len(progress.experience.train) // batch_size) == 0


def _leg(trial: Trial, tasks: Tasks, way: int | None, folder: Path | None, allow: bool) -> Leg:
    """One network's way through all tasks, or through one of them alone."""
    setting, joint = trial.setting, protocol(trial.strategy) == "joint"
    strategy = build_strategy(trial.strategy, trial.line.parameters)
    if setting.correlations and folder is not None:
        strategy = Chain(KeepPaths(strategy, folder), strategy)
    model = _network(setting, tasks, trial.seed)
    objective = Classification(tasks.masks)
    learner = Learner(model, strategy, objective, setting.training, seed=trial.seed, device=trial.device)
    if folder is not None and way in (None, 0):
        fetch_first_task(trial, folder, strategy, learner.environment())
    experiences = tasks.joint() if joint else tasks.stream(way)
    judged = list(range(len(tasks.tasks))) if way is None else [way]
    judge = partial(_judge, setting, tasks, model, objective, judged, joint)
    name = leg_name(way)
    leg = Leg(learner, experiences, judge, folder, name, allow_other_machine=allow)
    if setting.correlations and folder is not None:
        check_paths(folder, len(leg.lines))
    return leg


def _network(setting: Setting, tasks: Tasks, seed: int) -> nn.Sequential:
    if not setting.hidden:
        network = convolutional(tasks.outputs, zero_head=setting.zero_head, init=setting.init, seed=seed)
        return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]
    return perceptron(
        tasks.tasks[0].train.x.shape[1],
        setting.hidden,
        tasks.outputs,
        dropout=setting.dropout,
        zero_head=setting.zero_head,
        init=setting.init,
        seed=seed,
    )


def _judge(
    setting: Setting,
    tasks: Tasks,
    model: nn.Module,
    objective: Classification,
    judged: list[int],
    joint: bool,
    experience: Experience,
) -> dict[str, Any]:
    """Accuracy on the test side of all tasks, on the training samples of those seen, and on what was held out."""
    lines: dict[str, list[float | None]] = {side: [None] * len(tasks.tasks) for side in ("test", "train", "held_out")}
    for i in judged:
        task, seen = tasks.tasks[i], joint or i <= experience.task_id
        lines["test"][i] = accuracy(model, objective, task.test)
        if seen:
            lines["train"][i] = accuracy(model, objective, task.train.first(setting.train_judged))
        if len(task.held_out) and seen:
            lines["held_out"][i] = accuracy(model, objective, task.held_out)
    return {
        "after": experience.name,
        **{side: line for side, line in lines.items() if any(v is not None for v in line)},
    }
