"""The first task, trained once for all strengths of SI: without an earlier task there is nothing to pull towards."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seamwise.continual import Strategy
from seamwise.errors import BadInputError
from seamwise.experiments.checkpoint import load_checkpoint, save_checkpoint
from seamwise.experiments.leg import CHECKPOINT

if TYPE_CHECKING:
    from seamwise.experiments.paper.trials import Trial


KEEP = "keep_step_count"


def _shares(trial: Trial) -> bool:
    """Whether the line takes part; one with correlations keeps more of its first task than the state tells."""
    return trial.strategy in ("si", "separate") and not trial.setting.correlations


def leg_name(way: int | None) -> str:
    """How the files of a network begin that learns only one of the tasks (None: it learns all)."""
    return "" if way is None else f"task-{way + 1}-"


def keep_first_task(trial: Trial, folder: Path) -> None:
    """After the first task: leaves the state for the other lines of the figure with the same seed."""
    shared = _shared(trial, folder)
    if _shares(trial) and trial.strategy == "si" and not shared.exists():
        own = folder / CHECKPOINT
        part = shared.with_suffix(f".{trial.line.label}")
        shutil.copyfile(own, part)
        part.replace(shared)


def fetch_first_task(trial: Trial, folder: Path, strategy: Strategy, environment: Mapping[str, object]) -> None:
    """Before a run begins: takes over the first task where another line has learned it, in the same environment.

    Other strengths of SI go on from there; a network for each task alone takes the weights and scores.
    """
    alone = trial.strategy == "separate"
    own, shared = folder / f"{leg_name(0 if alone else None)}{CHECKPOINT}", _shared(trial, folder)
    if own.exists() or not shared.exists() or not _shares(trial):
        return
    try:
        state = load_checkpoint(shared)
    except BadInputError:
        return  # damaged: the line learns its first task itself
    learner = state["learner"]
    if learner["environment"] != environment:
        return  # going on would not be the run that this line is by itself
    if alone:
        learner["strategy"] = {}
    elif _without_c(learner["settings"]) != _without_c(strategy.settings):
        return
    learner["settings"] = strategy.settings
    learner["training"] = trial.setting.training.values()
    save_checkpoint(own, state)


def _without_c(settings: Any) -> Any:
    """Settings that decide what the first task leaves behind."""
    return json.loads(json.dumps(settings | {"c": None}))


def _shared(trial: Trial, folder: Path) -> Path:
    identity = trial.identity()
    same = {name: identity[name] for name in ("figure", "setting", "data", "seed")}
    # how an optimizer is taken from task to task does not matter yet
    training = {name: v for name, v in same["setting"]["training"].items() if name not in ("keep_optimizer", KEEP)}
    same["setting"] = same["setting"] | {"training": training}
    digest = hashlib.sha256(json.dumps(same, sort_keys=True).encode()).hexdigest()[:12]
    return folder.parent / f"first-task-{digest}.safetensors"
