"""Jobs as people see and steer them."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select

from seamwise.app.actor import Actor, require
from seamwise.app.app import App
from seamwise.app.keys import require_key
from seamwise.app.models import name_of
from seamwise.errors import RefusedError
from seamwise.storage.database import reading, writing
from seamwise.storage.rows import Page
from seamwise.storage.tables import Job, JobLog, JobState, ModelVersion, Role
from seamwise.tasks import control, lists
from seamwise.tasks.states import UNFINISHED


def list_jobs(
    app: App,
    actor: Actor,
    *,
    state: JobState | None = None,
    kind: str | None = None,
    line: str | None = None,
    cursor: str | None = None,
    limit: int = 50,
) -> Page[Job]:
    """A page of jobs, newest first."""
    require(actor, Role.VIEWER)
    with reading(app.database) as session:
        return lists.list_jobs(session, state=state, kind=kind, line=line, cursor=cursor, limit=limit)


def get_job(app: App, actor: Actor, job_id: int) -> Job:
    """One job; NotFoundError when there is none of this number."""
    require(actor, Role.VIEWER)
    with reading(app.database) as session:
        return lists.find_job(session, job_id)


def read_log(app: App, actor: Actor, job_id: int, cursor: str | None = None, limit: int = 200) -> Page[JobLog]:
    """A page of what a job wrote, oldest first."""
    require(actor, Role.VIEWER)
    with reading(app.database) as session:
        lists.find_job(session, job_id)
        return lists.read_log(session, job_id, cursor=cursor, limit=limit)


@dataclass(frozen=True)
class News:
    """A job as it is now, and what it wrote since. more: there are further lines already."""

    job: Job
    lines: tuple[JobLog, ...]
    more: bool

    @property
    def last(self) -> bool:
        """Whether nothing will follow: the job has ended, and all its lines are here."""
        return self.job.state not in UNFINISHED and not self.more


def follow_job(app: App, actor: Actor, job_id: int, after: int | None) -> News:
    """What is new of a job since its log line number `after`; both are of the same moment.

    Who follows for long is asked each time whether the key still works: ForbiddenError.
    """
    require(actor, Role.VIEWER)
    with reading(app.database) as session:
        require_key(session, actor)
        job = lists.find_job(session, job_id)
        found = lists.read_log(session, job_id, cursor=None if after is None else str(after))
        return News(job, found.items, found.next is not None)


def cancel_job(app: App, actor: Actor, job_id: int) -> Job:
    """Ends a job that has not ended: look at the state returned, as its own end may have come first."""
    require(actor, Role.TRAINER)
    with writing(app.database) as session:
        return control.cancel(session, job_id, actor=actor.name)


def requeue_job(app: App, actor: Actor, job_id: int) -> Job:
    """Queues a failed or cancelled job again; RefusedError for any other.

    So is a training whose line has a version made since it was asked for: its own would go back to an older one, and
    what the line has learned between would be lost to the next that goes on from it.
    """
    require(actor, Role.TRAINER)
    with writing(app.database) as session:
        job = control.requeue(session, job_id, actor=actor.name)
        since = select(ModelVersion).where(ModelVersion.line == job.line, ModelVersion.created_at > job.created_at)
        newest = session.scalar(since.order_by(ModelVersion.number.desc()).limit(1))
        if newest is not None:
            raise RefusedError(
                f"job {job_id}: line {job.line} has learned {name_of(newest)} since it was asked for; begin the "
                "training anew"
            )
    app.doorbell.ring(job)
    return job
