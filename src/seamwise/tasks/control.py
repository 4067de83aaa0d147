"""What a person does with a job: cancel it, or queue it again."""

from __future__ import annotations

from sqlalchemy import update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from seamwise.errors import RefusedError
from seamwise.storage.audit import record
from seamwise.storage.columns import utc_now
from seamwise.storage.database import changed
from seamwise.storage.tables import Job, JobState
from seamwise.tasks.enqueue import line_is_held
from seamwise.tasks.lists import find_job
from seamwise.tasks.states import before


def cancel(session: Session, job_id: int, *, actor: str) -> Job:
    """Ends a job that has not ended; its worker learns it from its next write. An ended one stays as it is.

    Against `finish` the first commit wins: look at the state of the job returned. Raises NotFoundError.
    """
    open_still = Job.state.in_(before(JobState.CANCELLED))
    ended = {"state": JobState.CANCELLED, "finished_at": utc_now()}
    if changed(session, update(Job).where(Job.id == job_id, open_still).values(**ended)):
        record(session, actor, "job.cancel", f"job/{job_id}")
    return find_job(session, job_id)


def requeue(session: Session, job_id: int, *, actor: str) -> Job:
    """Queues a failed or cancelled job again, to go on from its last checkpoint; ring after the commit.

    Raises NotFoundError, and RefusedError for a job in another state or whose model line another job holds.
    """
    job = find_job(session, job_id)
    ended = Job.state.in_(set(before(JobState.QUEUED)) - {JobState.RUNNING})
    fresh = {"state": JobState.QUEUED, "queued_at": utc_now(), "finished_at": None, "fruitless": 0, "worker": None}
    try:
        with session.begin_nested():
            hit = changed(session, update(Job).where(Job.id == job_id, ended).values(**fresh))
    except IntegrityError as error:
        raise line_is_held(session, job) or error from error
    if not hit:
        raise RefusedError(f"job {job_id} is {job.state}: only a failed or cancelled one can be queued again")
    record(session, actor, "job.requeue", f"job/{job_id}")
    return find_job(session, job_id)
