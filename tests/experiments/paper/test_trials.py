"""One run of a figure: exact under interruption, and what it measures."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import deque
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from seamwise.continual import Classification, Learner, SynapticIntelligence
from seamwise.errors import BadInputError, RefusedError
from seamwise.experiments.checkpoint import load_checkpoint, save_checkpoint
from seamwise.experiments.paper import split_cifar, split_mnist
from seamwise.experiments.paper.figure import Figure, Line
from seamwise.experiments.paper.networks import perceptron
from seamwise.experiments.paper.tasks import make_tasks
from seamwise.experiments.paper.trials import Trial, execute
from seamwise.experiments.sets import open_set

DIGITS = open_set("digits")


def small(*lines: Line, **changes: Any) -> Figure:
    """Split digits in a moment: three epochs, sixteen hidden units."""
    setting = split_mnist.QUICK.setting.changed({"epochs": 3, "hidden": (16, 12), "lr": 0.01, **changes})
    return replace(split_mnist.QUICK, setting=setting, lines=lines or split_mnist.QUICK.lines)


def trial(figure: Figure, label: str = "c = 1", seed: int = 0) -> Trial:
    return Trial(figure, figure.line(label), seed, None, {"digits": DIGITS.digest})


def row(trial: Trial, folder: Path | None = None) -> dict[str, Any]:
    last = deque(execute(trial, folder), maxlen=1)[0]
    assert last.row is not None
    return {key: value for key, value in last.row.items() if key not in ("seconds", "peak_memory_mb")}


def test_r_has_a_row_a_task_and_training_scores_of_what_was_seen() -> None:
    found = row(trial(small()))
    assert [len(line) for line in found["R"]] == [5] * 5
    assert [[value is None for value in line] for line in found["R_train"]] == [
        [j > i for j in range(5)] for i in range(5)
    ]
    assert found["average"] == pytest.approx(sum(found["R"][-1]) / 5)
    assert found["R"][0][0] > 0.9


def test_c_is_felt_and_seeds_differ() -> None:
    figure = small(Line("c = 1", "si", {"c": 1.0}), Line("c = 0", "si", {"c": 0.0}))
    assert row(trial(figure))["R"][0] == row(trial(figure, "c = 0"))["R"][0]  # nothing to hold on to yet
    assert row(trial(figure))["R"][-1] != row(trial(figure, "c = 0"))["R"][-1]
    assert row(trial(figure))["R"][0] != row(trial(figure, seed=1))["R"][0]


@pytest.mark.parametrize("events", [1, 20, 55])
def test_a_stopped_run_goes_on_as_if_it_never_was_and_lost_at_most_an_epoch(tmp_path: Path, events: int) -> None:
    wanted = trial(small(dropout=0.3))
    going = execute(wanted, tmp_path / "run")
    for _ in range(events):
        next(going)
    going.close()
    tasks = make_tasks(wanted.setting, {"digits": DIGITS}, seed=0).tasks
    epochs = [-(-len(task.train) // 64) for task in tasks]
    path, kept = tmp_path / "run" / "checkpoint.safetensors", 0
    if path.exists():
        at = load_checkpoint(path)["learner"]["position"]
        kept = sum(3 * steps + 1 for steps in epochs[: at["experience"]]) + at["step"]  # an event a step, one a task
    assert 0 <= events - kept <= max(epochs)
    assert row(wanted, tmp_path / "run") == row(wanted)


def test_a_killed_process_goes_on_to_the_same_figures(tmp_path: Path) -> None:
    wanted = Trial(split_mnist.QUICK, split_mnist.QUICK.line("c = 1"), 0, None, {"digits": DIGITS.digest})
    job = wanted.job() | {"folder": str(tmp_path / "run"), "checkpoint_every_s": 0.0, "allow_other_machine": False}
    path = tmp_path / "run" / "checkpoint.safetensors"
    for experience in (0, 2):  # killed in the first task, and after the second
        command = [sys.executable, "-m", "seamwise.experiments.child"]
        environment = os.environ | {"OMP_NUM_THREADS": str(torch.get_num_threads())}
        child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdin.write(json.dumps(job) + "\n")
        child.stdin.flush()
        until = time.monotonic() + 60
        while not (path.exists() and load_checkpoint(path)["learner"]["position"]["experience"] >= experience):
            assert time.monotonic() < until
            time.sleep(0.01)
        child.send_signal(signal.SIGKILL)
        child.wait()
        child.stdin.close()
        child.stdout.close()
        assert load_checkpoint(path)["learner"]["position"]["experience"] < 5
    assert row(wanted, tmp_path / "run") == row(wanted)


def test_a_process_that_nobody_listens_to_ends_without_a_word() -> None:
    """Its parent was killed, and it tells of a step before it has noticed."""
    wanted = Trial(split_mnist.QUICK, split_mnist.QUICK.line("c = 1"), 0, None, {"digits": DIGITS.digest})
    job = wanted.job() | {"folder": None, "checkpoint_every_s": 0.0, "allow_other_machine": False}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-m", "seamwise.experiments.child"], **pipes, text=True) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        assert child.stderr is not None
        child.stdin.write(json.dumps(job) + "\n")
        child.stdin.flush()
        child.stdout.close()
        assert child.stderr.read() == ""
        assert child.wait(60) == 1


def test_the_first_task_is_shared_by_strengths_and_changes_no_figure(tmp_path: Path) -> None:
    setting = split_cifar.QUICK.setting.changed({"epochs": 3})
    figure = replace(split_cifar.QUICK, setting=setting)
    row(trial(figure, "c = 0"), tmp_path / "zero")
    assert len(list(tmp_path.glob("first-task-*.safetensors"))) == 1
    for label in ("c = 0.1", "from scratch"):
        going = execute(trial(figure, label), tmp_path / label)
        first = next(going)
        going.close()
        assert first.experience != "0 to 3"  # it begins with the second task
        assert row(trial(figure, label), tmp_path / label) == row(trial(figure, label))
    (shared,) = tmp_path.glob("first-task-*.safetensors")
    state = load_checkpoint(shared)
    state["learner"]["environment"]["torch"] = "1.0"
    save_checkpoint(shared, state)
    going = execute(trial(figure, "c = 0.1"), tmp_path / "another torch")
    assert next(going).experience == "0 to 3"  # it learns the first task itself
    going.close()
    row(trial(figure, "c = 0", seed=1), tmp_path / "other seed")
    assert len(list(tmp_path.glob("first-task-*.safetensors"))) == 2


def test_correlations_are_those_of_the_path_integrals(tmp_path: Path) -> None:
    line = Line("c = 1", "si", {"c": 1.0, "xi": 1e-3}, {"correlations": True})
    figure = small(line)
    found = row(trial(figure), tmp_path)["correlations"]
    assert (len(found), len(found[0]), len(found[0][0])) == (2, 5, 5)
    # the same run by hand, w read off SI before it is used up
    setting = figure.setting_of(line)
    tasks = make_tasks(setting, {"digits": DIGITS}, seed=0)
    model = perceptron(64, setting.hidden, tasks.outputs, zero_head=True, seed=0)
    si = SynapticIntelligence(c=1.0, xi=1e-3)
    learner = Learner(model, si, Classification(tasks.masks), setting.training, seed=0)
    paths = [
        si.state_dict()["path.0.weight"].flatten().clone()
        for progress in learner.fit(tasks.stream())
        if progress.kind == "step" and progress.step == progress.steps
    ]
    wanted = torch.corrcoef(torch.stack(paths))
    assert torch.allclose(torch.tensor(found[0]), wanted, atol=1e-6)


def test_a_run_with_correlations_begun_afresh_learns_its_first_task_itself(tmp_path: Path) -> None:
    """The shared state of a first task does not hold the path integrals that the correlations need."""
    wanted = trial(small(Line("c = 1", "si", {"c": 1.0, "xi": 1e-3}, {"correlations": True}), epochs=1))
    before = row(wanted, tmp_path / "run")
    shutil.rmtree(tmp_path / "run")
    assert row(wanted, tmp_path / "run") == before


def test_a_lost_path_integral_is_told_when_the_run_goes_on_not_at_its_end(tmp_path: Path) -> None:
    wanted = trial(small(Line("c = 1", "si", {"c": 1.0, "xi": 1e-3}, {"correlations": True}), epochs=1))
    for event in execute(wanted, tmp_path / "run"):
        if event.kind == "evaluated":
            break
    (tmp_path / "run" / "path-after-0.safetensors").unlink()
    with pytest.raises(BadInputError, match=r"path-after-0.*deleting the folder .* starts the run afresh"):
        next(execute(wanted, tmp_path / "run"))


def test_a_damaged_first_task_of_another_line_costs_no_run(tmp_path: Path) -> None:
    figure = replace(split_cifar.QUICK, setting=split_cifar.QUICK.setting.changed({"epochs": 1}))
    row(trial(figure, "c = 0"), tmp_path / "zero")
    (shared,) = tmp_path.glob("first-task-*.safetensors")
    content = bytearray(shared.read_bytes())
    content[len(content) // 2] ^= 1
    shared.write_bytes(content)
    assert next(execute(trial(figure, "c = 0.1"), tmp_path / "other")).experience == "0 to 3"


def test_a_folder_of_another_run_is_refused_and_other_data_too(tmp_path: Path) -> None:
    figure = small()
    row(trial(figure), tmp_path)
    with pytest.raises(RefusedError, match="seed"):
        row(trial(figure, seed=1), tmp_path)
    with pytest.raises(BadInputError, match="changed"):
        row(replace(trial(figure), digests={"digits": "other"}))


def test_joint_and_separate_have_one_row() -> None:
    figure = small(Line("joint", "joint"), Line("separate", "separate"))
    for label in ("joint", "separate"):
        found = row(trial(figure, label))
        assert [len(found["R"]), len(found["R"][0])] == [1, 5]
        assert all(value is not None for value in found["R_train"][0])
        assert min(found["R"][0]) > 0.5
