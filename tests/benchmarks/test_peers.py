"""The comparison with other libraries: that its words are true, and that a library that fails does not end it."""

from __future__ import annotations

from dataclasses import astuple
from importlib import import_module
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
import torch

from seamwise.continual import Step, SynapticIntelligence

FOLDER = Path(__file__).parents[2] / "benchmarks"
FAITHFUL = ("as Eq. 5", "cut from the sum", "as Eq. 4", "of the task's loss (Eq. 3)")


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The benchmarks are scripts beside one another, no package."""
    monkeypatch.syspath_prepend(str(FOLDER))
    modules: dict[str, ModuleType] = {name: import_module(name) for name in ("effect", "peers", "steps", "trainers")}
    return SimpleNamespace(**modules, Row=import_module("libraries").Row)


def words(bench: SimpleNamespace, si: SynapticIntelligence) -> tuple[str, ...]:
    """What is said about a variant of our own SI."""

    def build(setup: object) -> object:
        trainer = bench.trainers.Seamwise(setup)
        trainer.si = trainer.strategy = si
        return trainer

    found = bench.effect.effect(build)
    return astuple(found)


class PenaltyInPath(SynapticIntelligence):
    """Measures with the gradient that the pull has already been added to."""

    def adjust(self, step: Step) -> None:
        super().adjust(step)
        pulled = [None if p.grad is None else p.grad.clone() for p in self.bound.parameters]
        self.seen.gradients, self.seen.versions = pulled, [0 for _ in pulled]


class Silent(SynapticIntelligence):
    """Forgets what was important."""

    def consolidate(self, model: torch.nn.Module, objective: object = None, experience: object = None) -> None:
        super().consolidate(model)
        torch._foreach_zero_(self.bound["importance"])


def test_ours_is_found_to_follow_the_paper(bench: SimpleNamespace) -> None:
    c, xi = bench.effect.C, bench.effect.XI
    assert words(bench, SynapticIntelligence(c=c, xi=xi)) == FAITHFUL


def test_departures_are_found_and_named(bench: SimpleNamespace) -> None:
    c, xi = bench.effect.C, bench.effect.XI
    same, cut, pull, gradient = FAITHFUL
    assert words(bench, SynapticIntelligence(c=c, xi=xi, clamp="none")) == (same, "kept", pull, gradient)
    assert words(bench, SynapticIntelligence(c=c, xi=xi, clamp="experience"))[1] == "cut task by task"
    assert words(bench, SynapticIntelligence(c=c, xi=10 * xi))[0].endswith("times that of Eq. 5")
    assert words(bench, SynapticIntelligence(c=c / 2, xi=xi)) == (same, cut, "0.5 times Eq. 4", gradient)
    assert words(bench, PenaltyInPath(c=c, xi=xi)) == (same, cut, pull, "of loss + penalty")
    silent = words(bench, Silent(c=c, xi=xi))
    assert (silent[0], silent[2]) == ("all zero", "none")


def test_a_library_that_is_absent_or_fails_is_told_and_the_rest_goes_on(
    bench: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(setup: object) -> object:
        raise RuntimeError("no such operator\nand more")

    monkeypatch.setitem(bench.peers.CASES, "tiny", (8, 4, 2))
    rows = {
        "broken": bench.Row(broken, methods=("si",)),
        "absent": bench.Row(bench.trainers.Plain, "no-such-package-of-anyone"),
        "ours, in a loop": bench.Row(bench.trainers.Seamwise, "torch"),
    }
    result = bench.peers.compare(rows, ["tiny"], rounds=3, threads=torch.get_num_threads())
    assert result["libraries"]["broken"] == {"error": "RuntimeError: no such operator"}
    figures = result["libraries"]["ours, in a loop"]["tiny"]
    assert set(figures) == {"finetuning", "si", "ewc"}
    assert all(0 < figure["low"] <= figure["median"] <= figure["high"] for figure in figures.values())
    page = "\n".join(bench.peers.tables(result))
    assert "* broken: failed: RuntimeError: no such operator" in page
    assert "* absent: not installed: `pip install no-such-package-of-anyone`" in page
    assert f"| ours {torch.__version__}, in a loop | " in page


def test_every_trainer_of_ours_runs(bench: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(bench.peers.CASES, "tiny", (8, 4, 2))
    for build in (bench.trainers.Plain, bench.trainers.Seamwise, bench.trainers.SeamwiseLearner):
        trainer = bench.peers.build(bench.Row(build), "si", "tiny")
        before = bench.effect.flat(trainer.model.parameters())
        trainer.run(2)
        assert trainer.task == 1
        assert not torch.equal(before, bench.effect.flat(trainer.model.parameters()))


def test_ratios_are_paired_and_a_shared_loop_is_timed_beside_each_group(bench: SimpleNamespace) -> None:
    exact = bench.steps.ratio([2.0, 20.0, 6.0], [1.0, 10.0, 3.0])
    assert exact == {"median": 2.0, "low": 2.0, "high": 2.0}

    class Counted:
        steps, runs = 4, 0

        def run(self, steps: int) -> None:
            assert steps == self.steps
            self.runs += 1

    plain, own = Counted(), Counted()
    times = bench.steps.measure([{"plain": plain, "a": own}, {"plain": plain}], rounds=5)
    assert (plain.runs, own.runs) == (1 + 2 * 5, 1 + 5)  # warmed up once
    assert [{name: len(kept) for name, kept in group.items()} for group in times] == [
        {"plain": 5, "a": 5},
        {"plain": 5},
    ]
