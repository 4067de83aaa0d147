"""Trainings: each is a round of a model line, planned when it is asked for and done by a job of the kind `train`."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from seamwise.app.actor import Actor, require
from seamwise.app.aliases import PRODUCTION
from seamwise.app.app import App
from seamwise.app.domains import find_domain
from seamwise.app.entries import labelled
from seamwise.app.models import ancestry, find_version, name_of
from seamwise.app.plans import LineSpec, NewTraining, Plan, check_recipe, settle_line, settle_strategy
from seamwise.app.qualification import current_sets, freeze_set
from seamwise.app.rounds import add_round, take_up
from seamwise.app.snapshots import freeze
from seamwise.errors import RefusedError
from seamwise.storage.audit import record
from seamwise.storage.database import reading, writing
from seamwise.storage.idempotency import Request, is_known, seen_before
from seamwise.storage.rows import Page
from seamwise.storage.tables import (
    Alias,
    Domain,
    Image,
    Job,
    ModelVersion,
    Role,
    RoundState,
    Side,
    Snapshot,
    SnapshotItem,
    SnapshotKind,
)
from seamwise.tasks.enqueue import NewJob, enqueue
from seamwise.tasks.lists import list_jobs


def start_training(app: App, actor: Actor, spec: NewTraining, request: Request | None = None) -> Job:
    """Plans a training and queues it.

    A domain without a qualification set gets one of the test images it has. Raises NotFoundError for an unknown
    domain, parent or round, RefusedError where nothing is labelled, another training holds the line, or the line cannot
    learn this, UsageError for a strategy or recipe that cannot be used.
    """
    require(actor, Role.TRAINER)
    checked = _checked(app, spec, request)
    with writing(app.database) as session:
        made = seen_before(session, request) if request else None
        job = (
            session.get_one(Job, int(made.removeprefix("job/")))
            if made
            else _plan(app, session, actor, spec, checked, request)
        )
        judged = spec.domain in _judged(session)
    if not judged:
        _freeze_first_set(app, actor, spec)
    app.doorbell.ring(job)
    return job


def list_trainings(
    app: App, actor: Actor, *, line: str | None = None, cursor: str | None = None, limit: int = 50
) -> Page[Job]:
    """A page of training jobs, newest first."""
    require(actor, Role.VIEWER)
    with reading(app.database) as session:
        return list_jobs(session, kind="train", line=line, cursor=cursor, limit=limit)


def _checked(app: App, spec: NewTraining, request: Request | None) -> LineSpec | None:
    """The line as it would become, its recipe checked before the database is held; None for a request seen before."""
    with reading(app.database) as session:
        if request and is_known(session, request):
            return None
        line = settle_line(spec, find_domain(session, spec.domain), _parent(session, spec))
    check_recipe(line)
    return line


def _plan(
    app: App, session: Session, actor: Actor, spec: NewTraining, checked: LineSpec | None, request: Request | None
) -> Job:
    domain = find_domain(session, spec.domain)
    parent = _parent(session, spec)
    line = settle_line(spec, domain, parent)
    if checked is None or (line.recipe, line.classes) != (checked.recipe, checked.classes):  # another was quicker
        check_recipe(line)
    strategy, parameters = settle_strategy(spec, parent)
    snapshot = _frozen(session, actor, spec, domain, parent)
    row = (
        add_round(session, spec.line, RoundState.STARTED, {"kind": "request", "domain": domain.name}, actor)
        if spec.round is None
        else take_up(session, spec.round, spec.line, domain.name)
    )
    plan = Plan(
        line=spec.line,
        round=row.id,
        snapshot=snapshot.id,
        parent=parent.id if parent else None,
        strategy=strategy,
        parameters=parameters,
        model=line,
        mode=spec.mode,
        epochs=1 if spec.mode == "online" else spec.epochs,
        device=spec.device,
        engine=spec.engine,
        threads=app.settings.threads,
        checkpoint_every_s=spec.checkpoint_every_s,
    )
    queue = "gpu" if spec.device == "cuda" else "cpu"
    new = NewJob("train", plan.model_dump(mode="json"), queue=queue, line=spec.line)
    job = enqueue(session, new, actor=actor.name, request=request)
    row.parent_id, row.snapshot_id, row.job_id = plan.parent, snapshot.id, job.id
    details = {"domain": domain.name, "job": job.id}
    record(session, actor.name, "round.start", f"round/{row.id}", details, actor.request_id)
    return job


def _parent(session: Session, spec: NewTraining) -> ModelVersion | None:
    """The version to go on from; None for a line's first training."""
    of_line = ModelVersion.line == spec.line
    if spec.parent is not None:
        parent = find_version(session, spec.parent)
        if parent.line != spec.line:
            raise RefusedError(f"parent {spec.parent} is of another line than {spec.line}")
    else:
        serves = select(ModelVersion).join(Alias, Alias.model_id == ModelVersion.id)
        newest = select(ModelVersion).where(of_line).order_by(ModelVersion.number.desc()).limit(1)
        found = session.scalar(serves.where(Alias.name == PRODUCTION, of_line)) or session.scalar(newest)
        if found is None:
            return None
        parent = found
    if parent.state_sha256 is None:
        raise RefusedError(f"version {name_of(parent)} has no state to go on from: name another parent")
    return parent


def has_news(session: Session, spec: NewTraining) -> bool:
    """Whether an online training would find anything to learn."""
    domain = find_domain(session, spec.domain)
    learned = _learned(session, _parent(session, spec))
    return next(labelled(session, {domain.id: domain}, Side.TRAIN, learned), None) is not None


def _learned(session: Session, parent: ModelVersion | None) -> list[int]:
    """The snapshots that a version and its ancestors learned."""
    return [v.snapshot_id for v in ancestry(session, parent) if v.snapshot_id] if parent else []


def _frozen(session: Session, actor: Actor, spec: NewTraining, domain: Domain, parent: ModelVersion | None) -> Snapshot:
    """What is learned: the domain's labelled images, or those labelled since any ancestor's training."""
    since = _learned(session, parent) if spec.mode == "online" else None
    snapshot = freeze(
        session, kind=SnapshotKind.TRAINING, domain_ids=[domain.id], actor=actor.name, only_new_since=since
    )
    training = (SnapshotItem.snapshot_id == snapshot.id, SnapshotItem.side == Side.TRAIN)
    if session.scalar(select(SnapshotItem.position).where(*training).limit(1)) is None:
        new = "newly " if since else ""
        raise RefusedError(f"domain {domain.name}: no {new}labelled image is on the train side; annotate more images")
    return snapshot


def _judged(session: Session) -> set[str]:
    """Names of the domains that have a qualification set."""
    numbers = [found.domain_id for found in current_sets(session)]
    return set(session.scalars(select(Domain.name).where(Domain.id.in_(numbers))))


def _freeze_first_set(app: App, actor: Actor, spec: NewTraining) -> None:
    with reading(app.database) as session:
        domain = find_domain(session, spec.domain)
        tests = (Image.domain_id == domain.id, Image.side == Side.TEST, Image.deleted_at.is_(None))
        if session.scalar(select(Image.id).where(*tests).limit(1)) is None:
            return
    try:
        freeze_set(app, actor, spec.domain, f"first training, of line {spec.line}")
    except RefusedError:  # its test images are not labelled: the gate will say that it cannot judge
        return
