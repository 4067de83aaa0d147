"""Jobs as they are seen: one, a page of them, their logs, their signs of life."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from seamwise.errors import NotFoundError
from seamwise.storage.rows import LARGEST_ID, Page, page
from seamwise.storage.tables import Job, JobLog, JobState
from seamwise.tasks.states import IS_QUEUED


def find_job(session: Session, job_id: int) -> Job:
    """The job as it is now; NotFoundError when there is none."""
    job = session.get(Job, job_id, populate_existing=True) if 0 < job_id <= LARGEST_ID else None
    if job is None:
        raise NotFoundError(f"job {job_id}: there is none of this number")
    return job


def list_jobs(
    session: Session,
    *,
    state: JobState | None = None,
    kind: str | None = None,
    line: str | None = None,
    cursor: str | None = None,
    limit: int = 50,
) -> Page[Job]:
    """A page of jobs, newest first."""
    rows = select(Job)
    for column, value in ((Job.state, state), (Job.kind, kind), (Job.line, line)):
        if value is not None:
            rows = rows.where(column == value)
    return page(session, rows, Job.id, cursor=cursor, limit=limit)


def read_log(session: Session, job_id: int, *, cursor: str | None = None, limit: int = 200) -> Page[JobLog]:
    """A page of a job's log, oldest first; the id of the last line seen is a cursor too, so that it can be followed."""
    return page(
        session,
        select(JobLog).where(JobLog.job_id == job_id),
        JobLog.id,
        cursor=cursor,
        limit=limit,
        newest_first=False,
    )


class SignsOfLife(NamedTuple):
    """When the longest waiting job was queued, and when the longest silent of the running ones last showed life.

    None: there is no such job.
    """

    oldest_queued_at: datetime | None
    last_heartbeat_at: datetime | None


def signs_of_life(session: Session) -> SignsOfLife:
    """What tells a service that works from one that only runs."""
    queued = session.scalar(select(func.min(Job.queued_at)).where(IS_QUEUED))
    beat = session.scalar(select(func.min(Job.heartbeat_at)).where(Job.state == JobState.RUNNING))
    return SignsOfLife(queued, beat)
