"""What a worker does with a job: claim it, show life, keep checkpoints, end it.

Every write of an attempt carries the job's id, the attempt's number and `state = running`, and must hit one row:
whoever was declared gone, cancelled or overtaken learns it from StaleAttemptError, and nothing of the transaction
stays.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Update, case, select, update
from sqlalchemy.orm import Session

from seamwise.errors import RefusedError
from seamwise.storage.audit import record
from seamwise.storage.columns import utc_now
from seamwise.storage.object_rows import commit_object, release_object
from seamwise.storage.object_store import Stored
from seamwise.storage.tables import Job, JobLog, JobState
from seamwise.tasks.states import IS_QUEUED

CAP = 3  # attempts in a row without a new checkpoint
_DIRECT = {"synchronize_session": False, "populate_existing": True}


@dataclass(frozen=True)
class Attempt:
    """One worker's turn at a job."""

    job_id: int
    number: int


@dataclass(frozen=True)
class LogLine:
    """A line for the job's log. level: debug, info, warning or error."""

    text: str
    level: str = "info"


class StaleAttemptError(RefusedError):
    """A write of an attempt that no longer has its job: the worker must stop."""


def claim(session: Session, worker: str, queues: Sequence[str], job_id: int | None = None) -> Job | None:
    """Takes the most urgent job that waits in the queues, or the one named if it still waits; None: there is none.

    Each job goes to one worker, and none waits for another's claim. The job's new attempt is
    `Attempt(job.id, job.attempt)`.
    """
    waits = select(Job.id).where(IS_QUEUED, Job.queue.in_(queues))
    if job_id is not None:
        waits = waits.where(Job.id == job_id)
    waits = waits.order_by(Job.priority, Job.id).limit(1).with_for_update(skip_locked=True)
    now = utc_now()
    return _first(
        session,
        update(Job)
        .where(Job.id == waits.scalar_subquery(), IS_QUEUED)
        .values(
            state=JobState.RUNNING,
            attempt=Job.attempt + 1,
            fruitless=Job.fruitless + 1,
            counter=0,
            worker=worker,
            started_at=now,
            heartbeat_at=now,
            error=None,
        ),
    )


def heartbeat(
    session: Session, attempt: Attempt, *, progress: dict[str, Any] | None = None, lines: Iterable[LogLine] = ()
) -> None:
    """Shows that the attempt lives, and with it how far it is and what it has to say; once a second is often enough."""
    news = {} if progress is None else {"progress": progress}
    _fenced(session, attempt, counter=Job.counter + 1, heartbeat_at=utc_now(), **news)
    session.add_all(
        JobLog(job_id=attempt.job_id, attempt=attempt.number, level=line.level, text=line.text) for line in lines
    )


def checkpoint(
    session: Session, attempt: Attempt, stored: Stored, commit: Callable[[Session, Stored], object] = commit_object
) -> str | None:
    """Makes bytes that were put the place from which the next attempt goes on; the count of fruitless attempts ends.

    commit: makes them count, for who wants to know whether they do. Returns the key of the bytes that this one
    replaces, to delete after the commit.
    """
    job = _fenced(session, attempt, counter=Job.counter + 1, heartbeat_at=utc_now(), fruitless=0)
    commit(session, stored)
    old, job.checkpoint_sha256 = job.checkpoint_sha256, stored.sha256
    return release_object(session, old) if old else None


def finish(session: Session, attempt: Attempt, result: dict[str, Any] | None = None) -> Job | None:
    """Ends a job well: call it first in the transaction that writes what the job made, then write that.

    The job returned belongs to the session, so that its `result` may be set once ids are known. None: this attempt's
    finish was committed before (the answer to it got lost): write nothing.
    """
    if _ended_as(session, attempt, JobState.SUCCEEDED):
        return None
    job = _fenced(session, attempt, state=JobState.SUCCEEDED, finished_at=utc_now(), result=result)
    record(session, f"worker/{job.worker}", "job.finish", f"job/{job.id}", {"attempt": job.attempt})
    return job


def fail(session: Session, attempt: Attempt, error: str, *, retry: bool = False, cap: int = CAP) -> JobState:
    """Ends an attempt badly, and says what becomes of the job.

    retry: the fault may pass, so that the job is queued again unless `cap` attempts in a row made no checkpoint.
    """
    job = session.get_one(Job, attempt.job_id, populate_existing=True)
    after = after_loss(job, cap) if retry else JobState.FAILED
    if not _ended_as(session, attempt, after):
        _fenced(session, attempt, **fate(after, error))
        record(session, f"worker/{job.worker}", "job.fail", f"job/{job.id}", {"attempt": job.attempt, "then": after})
    return after


def give_back(session: Session, attempt: Attempt) -> None:
    """Puts the job back into its queue when its worker must go; the attempt does not count as fruitless."""
    if not _ended_as(session, attempt, JobState.QUEUED):
        counted = case((Job.fruitless > 0, Job.fruitless - 1), else_=0)
        _fenced(session, attempt, state=JobState.QUEUED, queued_at=utc_now(), worker=None, fruitless=counted)


def drop_checkpoint(session: Session, job: Job) -> str | None:
    """Lets go of the checkpoint of an ended job; the key of the bytes to delete after the commit, if any."""
    old, job.checkpoint_sha256 = job.checkpoint_sha256, None
    return release_object(session, old) if old else None


def after_loss(job: Job, cap: int) -> JobState:
    """What becomes of a running job whose attempt was lost."""
    return JobState.QUEUED if job.fruitless < cap else JobState.FAILED


def fate(state: JobState, error: str) -> dict[str, Any]:
    """The columns of a job whose attempt ended badly and that goes to `state`."""
    now = utc_now()
    times = {"queued_at": now, "worker": None} if state is JobState.QUEUED else {"finished_at": now}
    return {"state": state, "error": error, **times}


def _fenced(session: Session, attempt: Attempt, **values: Any) -> Job:
    running = (Job.id == attempt.job_id, Job.attempt == attempt.number, Job.state == JobState.RUNNING)
    job = _first(session, update(Job).where(*running).values(**values))
    if job is None:
        found = session.get(Job, attempt.job_id, populate_existing=True)
        now = f"is {found.state}, attempt {found.attempt}" if found else "does not exist"
        raise StaleAttemptError(f"job {attempt.job_id} {now}: attempt {attempt.number} no longer has it and must stop")
    return job


def _ended_as(session: Session, attempt: Attempt, state: JobState) -> bool:
    """Whether the attempt's own end was committed before; no later attempt has begun."""
    same = (Job.id == attempt.job_id, Job.attempt == attempt.number, Job.state == state)
    return session.scalar(select(Job.id).where(*same)) is not None


def _first(session: Session, statement: Update) -> Job | None:
    return session.scalars(statement.returning(Job), execution_options=_DIRECT).one_or_none()
