"""A plan as objects that learn."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import pytest
import torch

from seamwise.app.plans import LineSpec, Plan, Rule, ids_in_line
from seamwise.continual.draw import Draw
from seamwise.errors import RefusedError
from seamwise.vision.domain import read_domain
from seamwise.vision.objective import Segmentation
from seamwise.worker.lesson import Lesson, has_pixels, probe_pictures
from tests.experiments.tiny import RECIPE, make_domain

UNION = ["background", "crack", "pore"]


def lesson(folder: Path, name: str = "scan", rule: Rule = "union", **changed: object) -> Lesson:
    """The second round of a line that learned `film` before."""
    domain = read_domain(make_domain(folder / name, classes=("background", "pore")))
    line = LineSpec(
        recipe=asdict(RECIPE),
        classes=UNION if rule == "union" else ["background", "defect"],
        rule=rule,
        domains=["film", "scan"],
        domain=name,
        seed=3,
        ignore=None,
        scales={"scan": 0.5},
        class_sets={"film": [0, 1], "scan": [0, 2]} if rule == "union" else {},
    )
    plan = {"line": "welds", "round": 2, "snapshot": 2, "parent": 1, "strategy": "si", "parameters": {}, "model": line}
    how = {"mode": "offline", "epochs": None, "device": "cpu", "engine": "torch", "threads": 1}
    return Lesson(Plan.model_validate({**plan, **how, "checkpoint_every_s": 20.0, **changed}), domain)


def test_a_round_is_the_experience_of_its_number_and_the_task_of_its_domain(tmp_path: Path) -> None:
    stream = lesson(tmp_path).stream(4)
    assert (len(stream), stream[4].index, stream[4].task_id, stream[4].name) == (5, 4, 1, "scan")
    batch = stream[4].train.batch(torch.arange(len(stream[4].train)), Draw(("t",)))
    assert batch.task.unique().tolist() == [1]
    assert set(batch.y.unique().tolist()) == {0, 2}  # the line's id of `pore`
    assert len(set(batch.index.tolist())) == len(batch.index)


def test_a_domain_of_a_union_answers_its_own_classes_alone(tmp_path: Path) -> None:
    found = lesson(tmp_path)
    objective = found.learner().objective
    assert isinstance(objective, Segmentation)
    logits = objective.mask(torch.zeros(2, 3, 1, 1), torch.tensor([0, 1]))
    assert logits.softmax(1).flatten(1).tolist() == [[0.5, 0.5, 0.0], [0.5, 0.0, 0.5]]
    assert found.reading().class_sets == {"film": (0, 1), "scan": (0, 2)}
    assert found.reading().scales == {"scan": 0.5}


def test_the_network_follows_from_the_seed_alone(tmp_path: Path) -> None:
    state = torch.get_rng_state()
    one = lesson(tmp_path).learner().model.state_dict()
    torch.manual_seed(1)
    other = lesson(tmp_path / "again").learner().model.state_dict()
    torch.set_rng_state(state)
    assert all(torch.equal(value, other[name]) for name, value in one.items())


def test_epochs_stand_in_for_steps(tmp_path: Path) -> None:
    assert lesson(tmp_path).learner().training.steps == RECIPE.steps
    training = lesson(tmp_path / "again", epochs=2).learner().training
    assert (training.steps, training.epochs) == (None, 2)


def test_probes_are_small_and_show_defects(tmp_path: Path) -> None:
    found = probe_pictures(lesson(tmp_path, rule="defect"))
    assert [tuple(picture.shape) for picture in found] == [(1, 64, 64)]  # one picture in validation; two tiles wide


@pytest.mark.parametrize(("name", "holds"), [("si", False), ("replay", True), ("si+replay", True), ("gem", True)])
def test_which_states_hold_pixels(name: str, holds: bool) -> None:
    assert has_pixels(name) is holds


def test_ids_follow_names_under_every_rule() -> None:
    assert ids_in_line("a", ["background", "pore"], "welds", UNION, "union") == (0, 2)
    assert ids_in_line("a", ["ground", "pore", "crack"], "welds", UNION, "union") == (0, 2, 1)
    assert ids_in_line("a", UNION, "welds", UNION, "same") == (0, 1, 2)
    assert ids_in_line("a", UNION, "welds", ["background", "defect"], "defect") == (0, 1, 1)
    with pytest.raises(RefusedError, match="'scratch', which line welds does not know"):
        ids_in_line("a", ["background", "scratch"], "welds", UNION, "union")
    with pytest.raises(RefusedError, match="begin a line with the rule 'defect'"):
        ids_in_line("a", ["background", "pore"], "welds", UNION, "same")
