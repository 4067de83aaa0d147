"""Job kind `train`: one round of a model line, from its plan to a version that could serve."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import torch
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from seamwise import __version__
from seamwise.app.evaluations import evaluation_of
from seamwise.app.files import Shelf, fetch, shelf
from seamwise.app.models import STATE, name_of
from seamwise.app.plans import Plan
from seamwise.app.snapshots import load_domains
from seamwise.continual import DivergenceError, Learner, MismatchError, Progress
from seamwise.errors import BadInputError, NotFoundError, UsageError
from seamwise.experiments.checkpoint import load_checkpoint, save_checkpoint
from seamwise.experiments.failures import explained
from seamwise.serving import Package, make_package
from seamwise.serving.package import MODEL, ONNX, SERVING
from seamwise.storage.audit import record
from seamwise.storage.database import reading
from seamwise.storage.faults import DamagedError
from seamwise.storage.tables import Image, Job, ModelVersion, Round, RoundState
from seamwise.tasks.enqueue import enqueue
from seamwise.vision.domain import Domain
from seamwise.vision.networks.network import Network
from seamwise.vision.segmenter import Segmenter
from seamwise.worker.lesson import Lesson, has_pixels, probe_pictures
from seamwise.worker.tombstones import forget
from seamwise.worker.turn import Turn

CHECKPOINT = "checkpoint.safetensors"
TOLD_EVERY_S = 0.5


def work(turn: Turn) -> None:
    """Learns the plan's snapshot, from the last checkpoint on, and leaves a version with its evaluation queued."""
    plan = Plan.model_validate(turn.job.spec)
    if plan.device == "cuda" and not torch.cuda.is_available():
        raise UsageError("this worker's machine shows torch no NVIDIA GPU: take its queue `gpu` away, and queue again")
    with explained():
        domain = _domain(turn, plan)
        lesson = Lesson(plan, domain)
        learner, index = _begun(turn, lesson)
        turn.say(f"round on {domain.name}: {len(domain.samples['train'])} images by {plan.strategy}")
        course = _Course(turn, plan, learner, index)
        try:
            for progress in learner.fit(lesson.stream(index)):
                course.after(progress)
        except DivergenceError as error:  # the same again would do the same
            raise UsageError(str(error)) from error
        package = _package(turn, lesson, learner)
    with shelf(turn.app) as objects:
        _finish(turn, plan, learner, package, objects)


def _domain(turn: Turn, plan: Plan) -> Domain:
    domains = load_domains(turn.app, plan.snapshot, turn.folder / "data")
    if not domains or not domains[0].samples["train"]:
        raise BadInputError(f"snapshot {plan.snapshot}: its training images were deleted since; ask for a new training")
    return domains[0]


def _begun(turn: Turn, lesson: Lesson) -> tuple[Learner, int]:
    """The learner where it was left, or at the round's beginning, and the number of the round's experience."""
    learner = lesson.learner()
    path = turn.folder / CHECKPOINT
    try:
        if turn.restore(path):
            state = load_checkpoint(path)
            learner.load_state_dict(state["learner"])
            turn.say(f"goes on from step {learner.position.step}")
            return learner, int(state["index"])
    except (MismatchError, BadInputError, DamagedError, NotFoundError) as error:
        turn.say(f"begins anew: {error}", "warning")
        learner = lesson.learner()
    if lesson.plan.parent is not None:
        learner.load_state_dict(_inherited(turn, lesson, learner), allow_other_machine=True)
    return learner, learner.position.experience


def _inherited(turn: Turn, lesson: Lesson, learner: Learner) -> dict[str, Any]:
    """The parent's state without what it remembers of images deleted since; how to train is this round's own."""
    with reading(turn.app.database) as session:
        parent = session.get_one(ModelVersion, lesson.plan.parent)
        deleted = list(session.scalars(select(Image.sha256).where(Image.deleted_at.is_not(None))))
    assert parent.state_sha256 is not None
    path = turn.folder / "parent.safetensors"
    fetch(turn.app, parent.state_sha256, path)
    state: dict[str, Any] = load_checkpoint(path)["learner"]
    state["strategy"], lost = forget(state["strategy"], deleted)
    if lost:
        turn.say(f"{lost} remembered samples are gone with their deleted images")
    turn.say(f"goes on from {name_of(parent)}")
    return state | {"training": learner.state_dict()["training"]}


class _Course:
    """What happens between a round's steps: it is told how far they are, and saved where the next attempt goes on."""

    def __init__(self, turn: Turn, plan: Plan, learner: Learner, index: int) -> None:
        self.turn, self.plan, self.learner, self.index = turn, plan, learner, index
        self.told, self.saved = 0.0, time.monotonic()

    def after(self, progress: Progress) -> None:
        """To be called after every step; leaves the job, saved, where the worker must go."""
        now = time.monotonic()
        if progress.kind == "step" and now - self.told >= TOLD_EVERY_S and progress.loss is not None:
            self.told = now
            loss = round(float(progress.loss), 4)
            self.turn.progress(progress.step / progress.steps, step=progress.step, steps=progress.steps, loss=loss)
        due = now - self.saved >= self.plan.checkpoint_every_s or progress.kind == "consolidated"
        if due or self.turn.stopping:
            path = self.turn.folder / CHECKPOINT
            save_checkpoint(path, {"learner": self.learner.state_dict(), "index": self.index})
            self.turn.checkpoint(path)
            self.saved = time.monotonic()
            self.turn.give_up_if_stopping()


def _package(turn: Turn, lesson: Lesson, learner: Learner) -> Package:
    """Writes what serves and what the next round goes on from into the job's folder."""
    plan = lesson.plan
    network = learner.model.to("cpu")
    assert isinstance(network, Network)
    notes = {"line": plan.line, **plan.model.model_dump(mode="json")}
    Segmenter(network, lesson.reading()).save(turn.folder / MODEL, notes)
    save_checkpoint(turn.folder / STATE, {"learner": learner.state_dict()})
    turn.say("making the package that serves")
    package = make_package(turn.folder, probe_pictures(lesson), engine=plan.engine)
    if package.reason:
        turn.say(f"served by {package.engine}: {package.reason}", "warning")
    return package


def _finish(turn: Turn, plan: Plan, learner: Learner, package: Package, objects: Shelf) -> None:
    names = [STATE, *package.files]
    stored = {name: objects.put_file(turn.folder / name) for name in names}

    def write(session: Session, job: Job) -> dict[str, Any]:
        for found in stored.values():
            objects.commit(session, found)
        hashes = {name: found.sha256 for name, found in stored.items()}
        version = _version(session, job, plan, learner, package, hashes)
        row = session.get_one(Round, plan.round)
        row.state, row.model_id = RoundState.FINISHED, version.id
        judging = evaluation_of(session, version, plan.threads, candidate=True)
        then = enqueue(session, judging, actor=job.created_by)
        return {"model": version.id, "version": name_of(version), "round": row.id, "then": [then.id]}

    turn.finish(write)


def _version(
    session: Session, job: Job, plan: Plan, learner: Learner, package: Package, hashes: Mapping[str, str]
) -> ModelVersion:
    newest = session.scalar(select(func.max(ModelVersion.number)).where(ModelVersion.line == plan.line)) or 0
    version = ModelVersion(
        line=plan.line,
        number=newest + 1,
        parent_id=plan.parent,
        snapshot_id=plan.snapshot,
        job_id=job.id,
        strategy={"name": plan.strategy, "parameters": plan.parameters},
        spec=plan.model.model_dump(mode="json"),
        engine=package.engine,
        weights_sha256=hashes[MODEL],
        state_sha256=hashes[STATE],
        state_has_pixels=has_pixels(plan.strategy),
        exported_sha256=hashes.get(ONNX),
        serving_sha256=hashes[SERVING],
        environment={"seamwise": __version__, **learner.environment()},
        created_by=job.created_by,
    )
    session.add(version)
    session.flush()
    record(session, job.created_by, "model.create", f"model/{version.id}", {"job": job.id})
    return version
