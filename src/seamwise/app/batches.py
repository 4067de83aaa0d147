"""Batches: predictions of many stored images by one version, made by a job."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

from pydantic import Field
from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from seamwise.app.actor import Actor, require
from seamwise.app.aliases import PRODUCTION
from seamwise.app.app import App
from seamwise.app.domains import find_domain
from seamwise.app.images import find_image
from seamwise.app.models import find_model, find_version, name_of
from seamwise.app.spec import Name, Spec, Text
from seamwise.errors import BadInputError, NotFoundError, RefusedError
from seamwise.storage.database import reading, writing
from seamwise.storage.idempotency import Request, seen_before
from seamwise.storage.rows import LARGEST_ID
from seamwise.storage.tables import Alias, Image, Job, JobState, ModelVersion, Prediction, Role
from seamwise.tasks.enqueue import NewJob, enqueue
from seamwise.tasks.lists import list_jobs

KIND = "predict"
ImageId = Annotated[int, Field(ge=1, le=LARGEST_ID)]


class NewBatch(Spec):
    """Images to predict: some by their numbers, or all of a domain. version: else what `production` names."""

    images: Annotated[list[ImageId], Field(min_length=1, max_length=10_000)] | None = None
    domain: Name | None = None
    version: Text | None = None


class BatchPlan(Spec):
    """The spec of a job of the kind `predict`. images: or those of a domain up to the id `last`. total: how many."""

    version: str
    images: list[int] | None
    domain: int | None
    last: int
    total: int


@dataclass(frozen=True)
class Batch:
    """A batch as it stands. predictions: made so far."""

    id: int
    state: JobState
    version: str
    images: int
    predictions: int
    result: dict[str, Any] | None
    error: str | None
    created_by: str
    created_at: datetime
    finished_at: datetime | None


@dataclass(frozen=True)
class Batches:
    """A page of batches."""

    items: tuple[Batch, ...]
    next: str | None


def start_batch(app: App, actor: Actor, spec: NewBatch, request: Request | None = None) -> Job:
    """Queues the predictions of many images. RefusedError without a version or without images."""
    require(actor, Role.INSPECTOR)
    if (spec.images is None) == (spec.domain is None):
        raise BadInputError("a batch needs `images` or a `domain`, one of them")
    with writing(app.database) as session:
        made = seen_before(session, request) if request else None
        if made:
            return session.get_one(Job, int(made.removeprefix("job/")))
        version = _version(session, spec.version)
        plan = _plan(session, spec, name_of(version))
        new = NewJob(KIND, plan.model_dump(mode="json"))
        job = enqueue(session, new, actor=actor.name, request=request)
    app.doorbell.ring(job)
    return job


def get_batch(app: App, actor: Actor, batch_id: int) -> Batch:
    """One batch."""
    require(actor, Role.VIEWER)
    with reading(app.database) as session:
        job = session.get(Job, batch_id) if 0 < batch_id <= LARGEST_ID else None
        if job is None or job.kind != KIND:
            raise NotFoundError(f"batch {batch_id}: there is none of this number")
        return _batch(session, job)


def list_batches(app: App, actor: Actor, cursor: str | None = None, limit: int = 50) -> Batches:
    """A page of batches, newest first."""
    require(actor, Role.VIEWER)
    with reading(app.database) as session:
        found = list_jobs(session, kind=KIND, cursor=cursor, limit=limit)
        return Batches(tuple(_batch(session, job) for job in found.items), found.next)


def images_of(plan: BatchPlan, after: int) -> Select[Image]:
    """The images of a batch that were not deleted, by id, from the one after `after`."""
    rows = select(Image).where(Image.id > after, Image.deleted_at.is_(None)).order_by(Image.id)
    if plan.images is not None:
        return rows.where(Image.id.in_(plan.images))
    return rows.where(Image.domain_id == plan.domain, Image.id <= plan.last)


def predicted(session: Session, job_id: int) -> set[int]:
    """The images that a batch has predicted already: an earlier attempt may have got half-way."""
    rows = session.scalars(select(Prediction.image_id).where(Prediction.job_id == job_id))
    return {number for number in rows if number is not None}


def _version(session: Session, name: str | None) -> ModelVersion:
    if name is not None:
        version = find_version(session, name)
    else:
        alias = session.get(Alias, PRODUCTION)
        if alias is None:
            raise RefusedError("no version serves yet: name one, or promote one")
        version = find_model(session, alias.model_id)
    if version.serving_sha256 is None:
        raise RefusedError(f"version {name_of(version)}: it has no serving package; name another")
    return version


def _plan(session: Session, spec: NewBatch, version: str) -> BatchPlan:
    if spec.images is not None:
        numbers = sorted(set(spec.images))
        for number in numbers:
            find_image(session, number)
        return BatchPlan(version=version, images=numbers, domain=None, last=numbers[-1], total=len(numbers))
    domain = find_domain(session, spec.domain or "")
    live = (Image.domain_id == domain.id, Image.deleted_at.is_(None))
    total, last = session.execute(select(func.count(), func.max(Image.id)).where(*live)).one()
    if not total:
        raise RefusedError(f"domain {domain.name}: it has no images to predict")
    return BatchPlan(version=version, images=None, domain=domain.id, last=last, total=total)


def _batch(session: Session, job: Job) -> Batch:
    plan = BatchPlan.model_validate(job.spec)
    made = session.scalar(select(func.count()).select_from(Prediction).where(Prediction.job_id == job.id)) or 0
    return Batch(
        id=job.id,
        state=job.state,
        version=plan.version,
        images=plan.total,
        predictions=made,
        result=job.result,
        error=job.error,
        created_by=job.created_by,
        created_at=job.created_at,
        finished_at=job.finished_at,
    )
