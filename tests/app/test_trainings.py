"""Trainings as they are asked for: what is frozen, what is refused with the way out."""

from __future__ import annotations

import functools
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from sqlalchemy import func, select, update

from seamwise.app.actor import SYSTEM, Actor, ForbiddenError
from seamwise.app.app import App
from seamwise.app.domains import NewDomain, create_domain
from seamwise.app.plans import LineSpec, NewTraining, Plan
from seamwise.app.qualification import current_sets
from seamwise.app.trainings import list_trainings, start_training
from seamwise.errors import NotFoundError, RefusedError, UsageError
from seamwise.storage.database import reading, writing
from seamwise.storage.idempotency import Request
from seamwise.storage.tables import Alias, Job, JobState, ModelVersion, Role, Round, Side, Snapshot, StoredObject
from seamwise.vision import networks
from tests.worker.tiny import RECIPE, add_domain, add_pictures, training

SHA = "0" * 64


@pytest.fixture
def film(app: App, tmp_path: Path) -> App:
    """A platform with the domain `film`."""
    add_domain(app, tmp_path, "film")
    return app


def plan_of(job: Job) -> Plan:
    return Plan.model_validate(job.spec)


def ended(app: App) -> None:
    """Lets go of every line, as ended jobs do."""
    with writing(app.database) as session:
        session.execute(update(Job).values(state=JobState.SUCCEEDED, finished_at=func.now(), attempt=1, worker="w"))


def add_version(app: App, job: Job, number: int, **changed: Any) -> ModelVersion:
    """What a training would leave."""
    plan = plan_of(job)
    row = ModelVersion(
        line=plan.line,
        number=number,
        parent_id=plan.parent,
        snapshot_id=plan.snapshot,
        job_id=job.id,
        strategy={"name": plan.strategy, "parameters": plan.parameters},
        spec=plan.model.model_dump(mode="json"),
        engine="torch",
        weights_sha256=SHA,
        state_sha256=SHA,
        environment={},
        created_by="w",
    )
    for name, value in changed.items():
        setattr(row, name, value)
    with writing(app.database) as session:
        if session.get(StoredObject, SHA) is None:
            session.add(StoredObject(sha256=SHA, key="00/0", size=0))
            session.flush()
        session.add(row)
    ended(app)
    return row


def test_everything_that_the_outcome_depends_on_is_frozen(film: App) -> None:
    job = start_training(film, SYSTEM, training("film"))
    plan = plan_of(job)
    assert (job.kind, job.queue, job.line) == ("train", "cpu", "welds")
    assert (plan.strategy, plan.parent, plan.threads, plan.device) == ("si", None, film.settings.threads, "cpu")
    assert plan.model == LineSpec(
        recipe=plan.model.recipe,
        classes=["background", "crack"],
        rule="same",
        domains=["film"],
        domain="film",
        seed=0,
        ignore=None,
        scales={},
        class_sets={},
    )
    assert plan.model.recipe["tile"] == RECIPE["tile"]
    assert plan.model.recipe["overlap"] == 0.25  # the defaults too: a later version may have others
    with reading(film.database) as session:
        row = session.get_one(Round, plan.round)
        snapshot = session.get_one(Snapshot, plan.snapshot)
    assert (row.number, row.state, row.job_id, row.snapshot_id) == (1, "started", job.id, snapshot.id)
    assert snapshot.size == 6
    assert list_trainings(film, SYSTEM, line="welds").items[0].id == job.id


def test_a_domain_gets_its_qualification_set_with_its_first_training(film: App) -> None:
    start_training(film, SYSTEM, training("film"))
    start_training(film, SYSTEM, training("film", line="other"))
    with reading(film.database) as session:
        (only,) = current_sets(session)
    assert (only.number, only.reason) == (1, "first training, of line welds")


def test_one_unfinished_training_holds_a_line_and_leaves_no_trace_of_another(film: App) -> None:
    start_training(film, SYSTEM, training("film"))
    with pytest.raises(RefusedError, match="job 1 trains it"):
        start_training(film, SYSTEM, training("film"))
    with reading(film.database) as session:
        assert session.scalar(select(func.count()).select_from(Round)) == 1


def test_the_same_request_makes_one_training(film: App) -> None:
    request = Request.of("key/1", "k", {})
    first = start_training(film, SYSTEM, training("film"), request)
    assert start_training(film, SYSTEM, training("film"), request).id == first.id
    with reading(film.database) as session:
        assert session.scalar(select(func.count()).select_from(Job)) == 1


def test_the_parent_is_what_serves_else_the_newest(film: App) -> None:
    versions = []
    for number in (1, 2, 3):
        job = start_training(film, SYSTEM, training("film", parent=None if number == 1 else "welds/1"))
        versions.append(add_version(film, job, number))
    job = start_training(film, SYSTEM, training("film"))
    assert plan_of(job).parent == versions[2].id
    ended(film)
    with writing(film.database) as session:
        session.add(Alias(name="production", model_id=versions[1].id, sequence=1))
    job = start_training(film, SYSTEM, training("film"))
    assert plan_of(job).parent == versions[1].id
    other = start_training(film, SYSTEM, training("film", line="other"))
    assert plan_of(other).parent is None


def test_what_is_left_out_is_as_in_the_version_before(film: App, tmp_path: Path) -> None:
    first = start_training(
        film, SYSTEM, training("film", strategy="si+replay", parameters={"c": 0.5}, seed=3, scale=0.5)
    )
    add_version(film, first, 1)
    add_domain(film, tmp_path, "scan")
    plan = plan_of(start_training(film, SYSTEM, NewTraining(line="welds", domain="scan", recipe={"lr": 0.001})))
    before = plan_of(first)
    assert (plan.strategy, plan.parameters) == ("si+replay", {"c": 0.5})
    assert plan.model.domains == ["film", "scan"]
    assert (plan.model.seed, plan.model.scales) == (3, {"film": 0.5})
    assert plan.model.recipe == before.model.recipe | {"lr": 0.001}


@pytest.mark.parametrize(
    ("wished", "said"),
    [
        ({"strategy": "ewc"}, "learns by si"),
        ({"parameters": {"c": 0.7}}, "learns by si"),
        ({"seed": 1}, "seed: line welds has 0"),
        ({"rule": "defect"}, "rule: line welds has 'same'"),
        ({"classes": ["background", "pore"]}, "classes: line welds has"),
        ({"recipe": {"tile": 64}}, "tile of line welds is 32 for good"),
        ({"recipe": {"network_options": {"width": 8}}}, "network_options of line welds"),
        ({"parent": "other/1"}, "is of another line"),
        ({"domain": "pores"}, "begin a line with the rule 'defect'"),
    ],
)
def test_what_a_line_cannot_change_is_refused_with_the_way_out(
    film: App, tmp_path: Path, wished: dict[str, Any], said: str
) -> None:
    add_version(film, start_training(film, SYSTEM, training("film")), 1)
    other = start_training(film, SYSTEM, training("film", line="other"))
    add_version(film, other, 1)
    add_domain(film, tmp_path, "pores", classes=("background", "pore"))
    with pytest.raises(RefusedError, match=said):
        start_training(film, SYSTEM, NewTraining(**{"line": "welds", "domain": "film", **wished}))


@pytest.mark.parametrize(
    ("wished", "said"),
    [
        ({"strategy": "sii"}, "did you mean si"),
        ({"strategy": "joint"}, "only compares methods"),
        ({"parameters": {"strength": 1}}, "has no parameter 'strength'"),
        ({"parameters": {"c": "much"}}, "c must be float"),
        ({"recipe": {"stepz": 3}}, "a recipe has no 'stepz'"),
        ({"recipe": {"network": "vgg"}}, "vgg"),
        ({"recipe": {"lr": -1.0}}, "lr must be above 0"),
        ({"recipe": {"network_options": {"width": 4096, "depth": 8}}}, "parameters; at most"),
        ({"steps": 3, "epochs": 2}, "give one of them"),
        ({"mode": "online", "steps": 3}, "goes once over what is new"),
    ],
)
def test_what_cannot_be_used_is_said_before_anything_begins(film: App, wished: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        start_training(film, SYSTEM, NewTraining(**{"line": "welds", "domain": "film", **wished}))
    with reading(film.database) as session:
        for table in (Round, Job, Snapshot):
            assert session.scalar(select(func.count()).select_from(table)) == 0


@pytest.mark.parametrize(
    "wished",
    [
        {"line": "../up"},
        {"steps": 0},
        {"seed": -1},
        {"scale": float("nan")},
        {"x": 1},
        {"parameters": {"c": 10**400}},
        {"parameters": {"c": float("inf")}},
        {"parameters": {"c": functools.reduce(lambda inner, _: [inner], range(400), 1)}},
        {"recipe": {"loss_options": {"smooth": float("nan")}}},
        {"recipe": {"network_options": {"width": [-(10**30)]}}},
    ],
)
def test_values_out_of_range_are_no_training(wished: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        NewTraining(**{"line": "welds", "domain": "film", **wished})


def test_a_recipe_is_checked_before_the_database_is_held_and_without_making_the_network(
    film: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    devices = []
    build = networks.build_network

    def watched(*args: Any, **options: Any) -> networks.Network:
        with closing(sqlite3.connect(str(film.database.url.database), timeout=0)) as other:
            other.execute("BEGIN IMMEDIATE")  # fails while another transaction writes
        network = build(*args, **options)
        devices.append(next(network.parameters()).device.type)
        return network

    monkeypatch.setattr(networks, "build_network", watched)
    request = Request.of("key/1", "k", {})
    first = start_training(film, SYSTEM, training("film"), request)
    assert start_training(film, SYSTEM, training("film"), request).id == first.id
    assert devices == ["meta"]


@pytest.mark.parametrize("network", networks.NETWORKS)
def test_every_network_can_be_trained(film: App, network: str) -> None:
    job = start_training(film, SYSTEM, training("film", recipe={"network": network, "network_options": {}}))
    assert plan_of(job).model.recipe["network"] == network


def test_a_domain_without_labelled_training_images_is_refused(app: App, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="none of this name"):
        start_training(app, SYSTEM, training("film"))
    create_domain(app, SYSTEM, NewDomain(name="film", modality="rt", classes=["background", "crack"]))
    with pytest.raises(RefusedError, match="annotate some"):
        start_training(app, SYSTEM, training("film"))
    add_pictures(app, tmp_path, "film", Side.TEST, 2)
    with pytest.raises(RefusedError, match="on the train side"):
        start_training(app, SYSTEM, training("film"))


def test_an_online_training_takes_what_no_ancestor_has_learned(film: App, tmp_path: Path) -> None:
    add_version(film, start_training(film, SYSTEM, training("film")), 1)
    with pytest.raises(RefusedError, match="no image has a new mask"):
        start_training(film, SYSTEM, training("film", mode="online", steps=None))
    add_pictures(film, tmp_path, "film", Side.TRAIN, 2, seed=7)
    second = start_training(film, SYSTEM, training("film", mode="online", steps=None))
    plan = plan_of(second)
    assert (plan.mode, plan.epochs) == ("online", 1)
    with reading(film.database) as session:
        assert session.get_one(Snapshot, plan.snapshot).size == 2


def test_it_takes_a_trainer(film: App) -> None:
    with pytest.raises(ForbiddenError):
        start_training(film, Actor("key/1", Role.INSPECTOR), training("film"))
