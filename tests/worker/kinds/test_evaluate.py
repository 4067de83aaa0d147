"""Evaluations: what serves is counted image by image, once for each set, and judged."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import pytest
from sqlalchemy import func, select

from seamwise.app.actor import SYSTEM
from seamwise.app.app import App
from seamwise.app.domains import NewDomain, create_domain
from seamwise.app.evaluations import NewEvaluation, counts_of, list_evaluations, start_evaluation
from seamwise.app.images import delete_image
from seamwise.app.models import forgetting_table, loader
from seamwise.app.qualification import current_sets, freeze_set
from seamwise.app.snapshots import load_domains
from seamwise.app.trainings import start_training
from seamwise.errors import RefusedError
from seamwise.storage.database import reading
from seamwise.storage.tables import Alias, Evaluation, EvaluationImage, Image, Job, ModelVersion, Side
from seamwise.tasks.lists import find_job
from seamwise.vision.prepare import load_mask
from seamwise.vision.scores import ImageCounts, count_image, summarise
from seamwise.worker.turn import StopWantedError, Turn
from tests.worker.test_loop import log
from tests.worker.tiny import add_domain, add_pictures, train, training, work_here

EASY = {"least_defect_iou": 0.0, "least_defect_recall": 0.0, "most_false_calls": 1e9, "resamples": 500}


def test_counts_are_those_of_the_engine_that_serves(app: App, tmp_path: Path) -> None:
    add_domain(app, tmp_path, "film")
    version = train(app, "film")
    (evaluation,) = list_evaluations(app, SYSTEM).items
    engine = loader(app, tmp_path / "cache")("welds/1").engine
    (domain,) = load_domains(app, evaluation.snapshot_id, tmp_path / "data")
    wanted = [
        count_image(engine.probabilities(sample.image, "film"), load_mask(sample, 2), classes=2, name=sample.stem)
        for sample in domain.samples["test"]
    ]
    found = counts_of(app, SYSTEM, evaluation.id)
    assert [ImageCounts.from_json(row) for row in found] == wanted
    assert [row["position"] for row in found] == [0, 1]
    assert version.r_row == {"film": summarise(wanted).defect_iou}
    assert evaluation.artefact_sha256 == version.weights_sha256
    assert version.verdict is not None
    assert version.verdict["candidate"] == "welds/1"


def test_what_was_counted_once_is_not_counted_again(app: App, tmp_path: Path) -> None:
    add_domain(app, tmp_path, "film")
    train(app, "film")
    again = start_evaluation(app, SYSTEM, NewEvaluation(version="welds/1"))
    assert work_here(app)
    with reading(app.database) as session:
        assert session.scalar(select(func.count()).select_from(Evaluation)) == 1
        assert find_job(session, again.id).state == "succeeded"
    freeze_set(app, SYSTEM, "film", "more of it")
    start_evaluation(app, SYSTEM, NewEvaluation(version="welds/1"))
    assert work_here(app)
    with reading(app.database) as session:
        assert session.scalar(select(func.count()).select_from(Evaluation)) == 2


def test_images_deleted_since_count_for_nothing(app: App, tmp_path: Path) -> None:
    add_domain(app, tmp_path, "film")
    train(app, "film")
    with reading(app.database) as session:
        (found,) = current_sets(session)
        number = session.scalar(select(EvaluationImage.image_id).order_by(EvaluationImage.position).limit(1))
        assert number is not None
        assert session.get_one(Image, number).domain_id == found.domain_id
    delete_image(app, SYSTEM, number)
    train(app, "film", line="other")
    (newest, *_) = list_evaluations(app, SYSTEM).items
    assert [row["position"] for row in counts_of(app, SYSTEM, newest.id)] == [1]


def test_domains_that_a_line_cannot_answer_for_are_left_out_and_said(app: App, tmp_path: Path) -> None:
    add_domain(app, tmp_path, "film")
    add_domain(app, tmp_path, "scan", classes=("background", "crack", "pore"))
    freeze_set(app, SYSTEM, "scan", "early")
    version = train(app, "film")
    assert version.r_row is not None
    assert version.r_row.keys() == {"film"}
    with reading(app.database) as session:
        judging = session.scalars(select(Job).where(Job.kind == "evaluate")).one()
    assert any("not evaluated on scan: domain scan shows" in line.text for line in log(app, judging.id))


def test_a_line_whose_defects_are_one_class_takes_any_domain(app: App, tmp_path: Path) -> None:
    add_domain(app, tmp_path, "film")
    add_domain(app, tmp_path, "scan", classes=("background", "crack", "pore"), bright=False)
    train(app, "film", rule="defect")
    version = train(app, "scan")
    assert version.spec["classes"] == ["background", "defect"]
    assert version.r_row is not None
    assert version.r_row.keys() == {"film", "scan"}


def test_a_line_of_a_union_answers_each_domain_with_its_own_classes(app: App, tmp_path: Path) -> None:
    add_domain(app, tmp_path, "film")
    add_domain(app, tmp_path, "scan", classes=("background", "pore"), bright=False)
    train(app, "film", rule="union", classes=["background", "crack", "pore"])
    version = train(app, "scan")
    assert version.spec["class_sets"] == {"film": [0, 1], "scan": [0, 2]}
    for row in list_evaluations(app, SYSTEM, version="welds/2").items:
        confusion = sum(np.array(image["confusion"]) for image in counts_of(app, SYSTEM, row.id))
        (domain,) = load_domains(app, row.snapshot_id, tmp_path / f"data{row.id}")
        absent = 2 if domain.name == "film" else 1
        assert confusion[:, absent].sum() == confusion[absent].sum() == 0
        assert confusion[3 - absent].sum() > 0


def test_a_domain_whose_ignored_value_is_a_class_of_the_line_is_left_out_and_said(app: App, tmp_path: Path) -> None:
    add_domain(app, tmp_path, "film")
    add_domain(app, tmp_path, "scan", classes=("background", "pore"), ignore=2)
    freeze_set(app, SYSTEM, "scan", "early")
    version = train(app, "film", rule="union", classes=["background", "crack", "pore"])
    assert version.r_row is not None
    assert version.r_row.keys() == {"film"}
    with reading(app.database) as session:
        judging = session.scalars(select(Job).where(Job.kind == "evaluate")).one()
    assert any("scan ignores mask value 2, which is one of" in line.text for line in log(app, judging.id))


def test_the_table_shows_what_was_forgotten(app: App, tmp_path: Path) -> None:
    add_domain(app, tmp_path, "film")
    add_domain(app, tmp_path, "scan", bright=False)
    versions = [train(app, name, strategy="finetuning", steps=20) for name in ("film", "scan")]
    table = forgetting_table(app, SYSTEM, "welds")
    assert (table.domains, [row.version for row in table.rows]) == (("film", "scan"), ["welds/1", "welds/2"])
    assert [row.learned for row in table.rows] == ["film", "scan"]
    rows = [version.r_row for version in versions]
    assert table.rows[1].scores == (rows[1]["film"], rows[1]["scan"])
    assert table.rows[0].scores == (rows[0]["film"], None)  # scan had no set yet
    assert table.forgetting == (rows[0]["film"] - rows[1]["film"], None)
    assert table.mean_forgetting == table.forgetting[0]
    assert table.average == pytest.approx((rows[1]["film"] + rows[1]["scan"]) / 2)


def test_a_passed_candidate_serves_by_itself_where_that_is_the_policy(
    make_app: Callable[..., App], tmp_path: Path
) -> None:
    for policy in (False, True):
        app = make_app(threads=1, auto_promote=policy, gate=EASY)
        add_domain(app, tmp_path, "film")
        add_pictures(app, tmp_path, "film", Side.TEST, 8, seed=3)
        version = train(app, "film")
        assert version.verdict is not None
        assert version.verdict["verdict"] == "pass"
        with reading(app.database) as session:
            alias = session.get(Alias, "production")
        assert (alias and alias.model_id) == (version.id if policy else None)


class KilledError(BaseException):
    """As the end of a process: nothing catches it."""


def test_a_candidate_is_promoted_with_its_verdict_or_not_at_all(
    make_app: Callable[..., App], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = make_app(threads=1, auto_promote=True, gate=EASY)
    add_domain(app, tmp_path, "film")
    add_pictures(app, tmp_path, "film", Side.TEST, 8, seed=3)
    start_training(app, SYSTEM, training("film"))
    work_here(app)
    finish = Turn.finish

    def killed(*arguments: Any) -> None:
        finish(*arguments)
        raise KilledError

    monkeypatch.setattr(Turn, "finish", killed)
    with pytest.raises(KilledError):
        work_here(app)
    with reading(app.database) as session:
        assert session.get_one(Alias, "production").model_id == 1


def test_a_refused_promotion_leaves_the_verdict(
    make_app: Callable[..., App], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = make_app(threads=1, auto_promote=True, gate=EASY)
    add_domain(app, tmp_path, "film")
    add_pictures(app, tmp_path, "film", Side.TEST, 8, seed=3)

    def refused(*_: Any) -> None:
        raise RefusedError("alias production: it changed meanwhile")

    monkeypatch.setattr("seamwise.app.promotion.apply", refused)
    version = train(app, "film")
    assert version.verdict is not None
    assert version.verdict["verdict"] == "pass"
    with reading(app.database) as session:
        assert session.get(Alias, "production") is None
        judging = session.scalars(select(Job).where(Job.kind == "evaluate")).one()
    assert any("it changed meanwhile" in line.text for line in log(app, judging.id))


def test_a_stopping_worker_leaves_an_evaluation(app: App, tmp_path: Path) -> None:
    add_domain(app, tmp_path, "film")
    start_training(app, SYSTEM, training("film"))
    work_here(app)
    stop = Event()
    stop.set()
    with pytest.raises(StopWantedError):
        work_here(app, stop)


def test_without_any_set_there_is_nothing_to_evaluate(app: App, tmp_path: Path) -> None:
    create_domain(app, SYSTEM, NewDomain(name="film", modality="rt", classes=["background", "crack"]))
    add_pictures(app, tmp_path, "film", Side.TRAIN, 2)
    version = train(app, "film")
    assert version.r_row == {}
    assert version.verdict is not None
    assert version.verdict["verdict"] == "undecided"
    with pytest.raises(RefusedError, match="no domain has a qualification set"):
        start_evaluation(app, SYSTEM, NewEvaluation(version="welds/1"))
    with reading(app.database) as session:
        assert session.scalar(select(func.count()).select_from(ModelVersion)) == 1
