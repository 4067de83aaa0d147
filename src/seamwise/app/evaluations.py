"""Evaluations: a version's answers on the qualification sets, counted image by image by a job."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from seamwise.app.actor import Actor, require
from seamwise.app.app import App
from seamwise.app.models import find_version
from seamwise.app.qualification import current_sets
from seamwise.app.spec import Spec, Text
from seamwise.errors import NotFoundError, RefusedError
from seamwise.storage.database import reading, writing
from seamwise.storage.idempotency import Request, seen_before
from seamwise.storage.rows import LARGEST_ID, Page, page
from seamwise.storage.tables import Domain, Evaluation, EvaluationImage, Job, ModelVersion, Role
from seamwise.tasks.enqueue import NewJob, enqueue

SOON = 50  # the gate waits for it, trainings do not


class NewEvaluation(Spec):
    """A version to be judged on the qualification sets as they are now."""

    version: Text


class JudgedSet(Spec):
    """A qualification set by its id, with its domain's name and its snapshot's id."""

    id: int
    domain: str
    snapshot: int


class EvaluationPlan(Spec):
    """The spec of a job of the kind `evaluate`. model: a version's id; candidate: whether it was just trained."""

    model: int
    sets: Sequence[JudgedSet]
    threads: int
    candidate: bool


def start_evaluation(app: App, actor: Actor, spec: NewEvaluation, request: Request | None = None) -> Job:
    """Queues the evaluation of a version. RefusedError when no domain has a qualification set."""
    require(actor, Role.TRAINER)
    with writing(app.database) as session:
        made = seen_before(session, request) if request else None
        if made:
            return session.get_one(Job, int(made.removeprefix("job/")))
        new = evaluation_of(session, find_version(session, spec.version), app.settings.threads)
        if not new.spec["sets"]:
            raise RefusedError("no domain has a qualification set: freeze one, then evaluate")
        job = enqueue(session, new, actor=actor.name, request=request)
    app.doorbell.ring(job)
    return job


def evaluation_of(session: Session, version: ModelVersion, threads: int, *, candidate: bool = False) -> NewJob:
    """The job that runs a version over the qualification sets that count now."""
    sets = [
        JudgedSet(id=found.id, domain=session.get_one(Domain, found.domain_id).name, snapshot=found.snapshot_id)
        for found in current_sets(session)
    ]
    plan = EvaluationPlan(model=version.id, sets=sets, threads=threads, candidate=candidate)
    return NewJob("evaluate", plan.model_dump(mode="json"), priority=SOON)


def find_evaluation(session: Session, version: ModelVersion, snapshot_id: int) -> Evaluation | None:
    """The version's newest evaluation on a snapshot with what serves now; None where there is none."""
    same = (
        Evaluation.model_id == version.id,
        Evaluation.snapshot_id == snapshot_id,
        Evaluation.artefact_sha256 == artefact_of(version),
    )
    return session.scalar(select(Evaluation).where(*same).order_by(Evaluation.id.desc()).limit(1))


def artefact_of(version: ModelVersion) -> str:
    """The hash of what serves: the exported network, else the weights."""
    return version.exported_sha256 or version.weights_sha256


def get_evaluation(app: App, actor: Actor, evaluation_id: int) -> Evaluation:
    """One evaluation."""
    require(actor, Role.VIEWER)
    with reading(app.database) as session:
        return _find(session, evaluation_id)


def list_evaluations(
    app: App, actor: Actor, *, version: str | None = None, cursor: str | None = None, limit: int = 50
) -> Page[Evaluation]:
    """A page of evaluations, newest first."""
    require(actor, Role.VIEWER)
    with reading(app.database) as session:
        rows = select(Evaluation)
        if version is not None:
            rows = rows.where(Evaluation.model_id == find_version(session, version).id)
        return page(session, rows, Evaluation.id, cursor=cursor, limit=limit)


def counts_of(app: App, actor: Actor, evaluation_id: int) -> list[dict[str, Any]]:
    """What an evaluation counted on each image, in the snapshot's order; `image` is its id."""
    require(actor, Role.VIEWER)
    with reading(app.database) as session:
        _find(session, evaluation_id)
        of_it = EvaluationImage.evaluation_id == evaluation_id
        rows = session.scalars(select(EvaluationImage).where(of_it).order_by(EvaluationImage.position))
        return [{"image": row.image_id, "position": row.position, **row.counts} for row in rows]


def _find(session: Session, evaluation_id: int) -> Evaluation:
    row = session.get(Evaluation, evaluation_id) if 0 < evaluation_id <= LARGEST_ID else None
    if row is None:
        raise NotFoundError(f"evaluation {evaluation_id}: there is none of this number")
    return row
