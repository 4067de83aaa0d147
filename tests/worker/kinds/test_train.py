"""Rounds on tiny domains: what one leaves, what the next goes on from, and kills in between."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from threading import Event, Thread

import pytest
import torch
from sqlalchemy import select

from seamwise.app.actor import SYSTEM
from seamwise.app.app import App
from seamwise.app.files import fetch
from seamwise.app.images import delete_image
from seamwise.app.jobs import cancel_job, requeue_job
from seamwise.app.models import fetch_package, loader
from seamwise.app.trainings import start_training
from seamwise.continual import Learner
from seamwise.errors import RefusedError, UsageError
from seamwise.experiments.checkpoint import load_checkpoint
from seamwise.serving.probes import self_test
from seamwise.storage.database import reading, writing
from seamwise.storage.object_rows import find_object
from seamwise.storage.tables import Job, JobLog, JobState, ModelVersion, Round, RoundState, Side
from seamwise.tasks.attempts import Attempt, give_back
from seamwise.worker.loop import Worker
from seamwise.worker.turn import StopWantedError
from tests.worker.processes import children, until
from tests.worker.tiny import add_domain, add_pictures, job_of, train, training, version_of, work_here

KILLS = 1


def state_of(app: App, version: ModelVersion, folder: Path) -> dict[str, dict[str, torch.Tensor]]:
    path = folder / f"state-{version.id}"
    assert version.state_sha256
    fetch(app, version.state_sha256, path)
    return load_checkpoint(path)["learner"]


def test_a_round_leaves_a_version_that_serves_and_an_evaluation(app: App, tmp_path: Path) -> None:
    add_domain(app, tmp_path, "film")
    version = train(app, "film")
    assert (version.line, version.number, version.parent_id, version.engine) == ("welds", 1, None, "torch")
    assert version.strategy == {"name": "si", "parameters": {}}
    assert version.spec["domains"] == ["film"]
    assert version.r_row is not None
    assert version.r_row.keys() == {"film"}
    assert version.environment["threads"] == app.settings.threads
    loaded = loader(app, tmp_path / "cache")("welds/1")
    self_test(loaded.engine, loaded.probes)
    with reading(app.database) as session:
        (row,) = session.scalars(select(Round))
        jobs = list(session.scalars(select(Job).order_by(Job.id)))
    assert (row.number, row.state, row.model_id) == (1, RoundState.FINISHED, version.id)
    assert row.figures is not None
    assert [(job.kind, job.state) for job in jobs] == [("train", "succeeded"), ("evaluate", "succeeded")]
    assert jobs[0].checkpoint_sha256 is None


def test_the_next_round_goes_on_from_weights_importances_and_moments(app: App, tmp_path: Path) -> None:
    add_domain(app, tmp_path, "film")
    add_domain(app, tmp_path, "scan", bright=False)
    first = train(app, "film", recipe={"keep_optimizer": True})
    second = train(app, "scan")
    assert (second.number, second.parent_id) == (2, first.id)
    assert second.spec["domains"] == ["film", "scan"]
    assert second.r_row is not None
    assert second.r_row.keys() == {"film", "scan"}
    before, after = state_of(app, first, tmp_path), state_of(app, second, tmp_path)
    assert before["position"]["experience"] == 1
    assert after["position"]["experience"] == 2
    omega = [name for name in after["strategy"] if name.startswith("importance")]
    assert len(omega) == len(after["model"])
    assert after["strategy"]["experiences"] == 2
    steps = [value for name, value in after["optimizer"].items() if name.startswith("step.")]
    assert steps
    assert all(int(value) == 12 for value in steps)  # Adam counts on


def test_two_rounds_equal_one_learner_that_never_stopped(app: App, tmp_path: Path) -> None:
    """The platform adds nothing: the same plans, learned in one process without any store between, give equal bits."""
    from seamwise.app.plans import Plan
    from seamwise.app.snapshots import load_domains
    from seamwise.worker.lesson import Lesson

    for name, bright in (("film", True), ("scan", False)):
        add_domain(app, tmp_path, name, bright=bright)
    versions = [train(app, name, strategy="si+replay", parameters={"capacity": 8}) for name in ("film", "scan")]
    lessons = []
    for version in versions:
        assert version.job_id
        plan = Plan.model_validate(job_of(app, version.job_id).spec)
        lessons.append(Lesson(plan, load_domains(app, plan.snapshot, tmp_path / f"data{plan.snapshot}")[0]))
    torch.set_num_threads(app.settings.threads)
    learner: Learner = lessons[0].learner()
    stream = [lesson.stream(place)[place] for place, lesson in enumerate(lessons)]
    list(learner.fit(stream))
    kept = state_of(app, versions[1], tmp_path)
    assert kept["model"].keys() == learner.model.state_dict().keys()
    for name, value in learner.model.state_dict().items():
        assert torch.equal(value, kept["model"][name]), name
    for name, value in learner.strategy.state_dict().items():
        if isinstance(value, torch.Tensor):
            assert torch.equal(value, kept["strategy"][name]), name


def test_a_killed_training_ends_with_the_same_bits(app: App, tmp_path: Path) -> None:
    add_domain(app, tmp_path, "film")
    wished = {"steps": 16, "checkpoint_every_s": 0.0, "strategy": "si+replay", "parameters": {"capacity": 8}}
    whole = train(app, "film", line="whole", **wished)
    job = start_training(app, SYSTEM, training("film", line="torn", **wished))
    worker = Worker(app)
    for _ in range(KILLS):
        thread = Thread(target=worker.work)
        thread.start()
        before = job_of(app, job.id).checkpoint_sha256
        until(lambda before=before: job_of(app, job.id).checkpoint_sha256 != before)
        os.kill(children()[0], signal.SIGKILL)
        thread.join()
        assert job_of(app, job.id).state is JobState.QUEUED
    assert worker.work()
    torn = version_of(app, job.id)
    assert job_of(app, job.id).attempt == KILLS + 1
    with reading(app.database) as session:
        lines = [line.text for line in session.scalars(select(JobLog).where(JobLog.job_id == job.id))]
    assert sum("goes on from step" in line for line in lines) == KILLS
    for part in ("model", "strategy", "optimizer"):
        one, other = state_of(app, whole, tmp_path)[part], state_of(app, torn, tmp_path)[part]
        assert one.keys() == other.keys()
        assert all(torch.equal(v, other[k]) for k, v in one.items() if isinstance(v, torch.Tensor))
    assert whole.state_sha256 == torn.state_sha256


def test_a_training_whose_checkpoint_is_gone_begins_anew(app: App, tmp_path: Path) -> None:
    """As after a restore, where the checkpoint that the database names was replaced before the objects were copied."""
    add_domain(app, tmp_path, "film")
    job = start_training(app, SYSTEM, training("film"))
    stop = Event()
    stop.set()
    with pytest.raises(StopWantedError):
        work_here(app, stop)
    with writing(app.database) as session:
        give_back(session, Attempt(job.id, 1))
        checkpoint = find_object(session, job_of(app, job.id).checkpoint_sha256 or "")
    app.objects.delete(checkpoint.key)
    assert work_here(app)
    assert version_of(app, job.id).number == 1
    assert any("begins anew" in line for line in lines_of(app, job.id))


def test_a_cancelled_training_is_not_queued_again_once_its_line_has_learned_more(app: App, tmp_path: Path) -> None:
    for name in ("film", "scan"):
        add_domain(app, tmp_path, name)
    train(app, "film", steps=2)
    job = start_training(app, SYSTEM, training("film", steps=2))
    cancel_job(app, SYSTEM, job.id)
    assert requeue_job(app, SYSTEM, job.id).state is JobState.QUEUED  # nothing came between
    cancel_job(app, SYSTEM, job.id)
    train(app, "scan", steps=2)
    with pytest.raises(RefusedError, match=r"has learned welds/2 since .* begin the training anew"):
        requeue_job(app, SYSTEM, job.id)
    assert job_of(app, job.id).state is JobState.CANCELLED


def test_a_deleted_image_leaves_the_memory_at_the_next_round(app: App, tmp_path: Path) -> None:
    add_domain(app, tmp_path, "film")
    add_domain(app, tmp_path, "scan", bright=False)
    extra = add_pictures(app, tmp_path, "film", Side.TRAIN, 1, seed=9)
    first = train(app, "film", strategy="replay", parameters={"capacity": 50})
    assert first.state_has_pixels
    held = state_of(app, first, tmp_path)["strategy"]["memory.index"]
    delete_image(app, SYSTEM, extra[0])
    second = train(app, "scan")
    kept = state_of(app, second, tmp_path)["strategy"]
    images = {int(number) >> 22 for number in held}
    left = {int(n) >> 22 for n, task in zip(kept["memory.index"], kept["memory.task"], strict=True) if task == 0}
    assert len(images) == 4
    assert len(left) == 3
    assert left < images


def test_an_online_round_learns_what_was_labelled_since(app: App, tmp_path: Path) -> None:
    add_domain(app, tmp_path, "film")
    train(app, "film")
    add_pictures(app, tmp_path, "film", Side.TRAIN, 2, seed=5)
    second = train(app, "film", mode="online", steps=None)
    assert second.job_id
    log = [line for line in lines_of(app, second.job_id) if "images by" in line]
    assert log == ["round on film: 2 images by si"]
    assert second.spec["domains"] == ["film"]


def lines_of(app: App, job_id: int) -> list[str]:
    with reading(app.database) as session:
        return [line.text for line in session.scalars(select(JobLog).where(JobLog.job_id == job_id))]


def test_a_loss_that_is_no_number_fails_at_once_and_says_what_to_do(app: App, tmp_path: Path) -> None:
    add_domain(app, tmp_path, "film")
    recipe = {"lr": 1e30, "clip": None, "optimizer": "sgd", "schedule": "constant", "warmup": 0.0}
    start_training(app, SYSTEM, training("film", recipe=recipe))
    with pytest.raises(UsageError, match="lower the learning rate"):
        work_here(app)


def test_the_exported_network_serves_where_it_agrees(app: App, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    add_domain(app, tmp_path, "film")
    job = start_training(app, SYSTEM, training("film").model_copy(update={"engine": "onnxruntime"}))
    work_here(app)
    version = version_of(app, job.id)
    assert version.engine == "onnxruntime"
    folder = tmp_path / "package"
    folder.mkdir()
    fetch_package(app, version, folder)
    assert {path.name for path in folder.iterdir()} == {"model.safetensors", "model.onnx", "serving.safetensors"}
