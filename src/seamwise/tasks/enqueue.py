"""Makes jobs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from seamwise.errors import RefusedError
from seamwise.storage.audit import record
from seamwise.storage.idempotency import Request, note_record, seen_before
from seamwise.storage.tables import Job
from seamwise.tasks.states import UNFINISHED


@dataclass(frozen=True)
class NewJob:
    """A job to be made.

    spec: all that it depends on, as JSON.
    queue: the kind of worker it needs.
    priority: smaller is sooner.
    line: the model line that a training holds until it ends.
    """

    kind: str
    spec: dict[str, Any]
    queue: str = "cpu"
    priority: int = 100
    line: str | None = None


def enqueue(session: Session, new: NewJob, *, actor: str, request: Request | None = None) -> Job:
    """Adds a job, its audit event and the request's idempotency key to one transaction; ring after its commit.

    A request seen before gets the job it made then. Raises RefusedError when its key came with another request, and
    when an unfinished job holds the line.
    """
    if request is not None and (made := seen_before(session, request)) is not None:
        return session.get_one(Job, int(made.removeprefix("job/")))
    job = Job(kind=new.kind, spec=new.spec, queue=new.queue, priority=new.priority, line=new.line, created_by=actor)
    _insert(session, job)
    if request is not None:
        note_record(session, request, f"job/{job.id}")
    record(session, actor, "job.enqueue", f"job/{job.id}", {"kind": job.kind})
    return job


def _insert(session: Session, job: Job) -> None:
    try:
        with session.begin_nested():
            session.add(job)
    except IntegrityError as error:
        raise line_is_held(session, job) or error from error


def line_is_held(session: Session, job: Job) -> RefusedError | None:
    """The refusal that names who holds the line of a job; None when nobody does."""
    held = select(Job.id).where(Job.line == job.line, Job.state.in_(UNFINISHED), Job.id != job.id)
    other = session.scalar(held)
    if other is None:
        return None
    return RefusedError(f"model line {job.line!r}: job {other} trains it; wait until it ends, or cancel it")
