"""Finds running jobs whose worker is gone, without comparing the clocks of two machines."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Engine, select, update
from sqlalchemy.orm import Session

from seamwise.storage.audit import record
from seamwise.storage.database import changed, reading, writing
from seamwise.storage.tables import Job, JobLog, JobState
from seamwise.tasks.attempts import CAP, after_loss, fate


@dataclass(frozen=True)
class _Seen:
    attempt: int
    counter: int
    still_s: float


class Reaper:
    """Declares lost what stood still for `still_s` seconds of its own steady clock, as it saw itself.

    It must be asked to `sweep` a few times in that span. A gap between two sweeps counts for a third of the span at
    most: after an outage of the database, or a pause of this process, workers have the rest of it to show life. Any
    number of reapers may run.
    """

    def __init__(self, still_s: float, *, cap: int = CAP, clock: Callable[[], float] = time.monotonic) -> None:
        self.still_s = still_s
        self.cap = cap
        self._clock = clock
        self._last = clock()
        self._seen: dict[int, _Seen] = {}

    def sweep(self, database: Engine) -> list[Job]:
        """Looks once; queues the jobs of lost attempts again, or fails them at the cap. Ring for those returned."""
        with reading(database) as session:
            running = session.scalars(select(Job).where(Job.state == JobState.RUNNING).order_by(Job.id)).all()
        now = self._clock()
        passed = min(now - self._last, self.still_s / 3)
        self._last = now
        self._seen = {job.id: self._look(job, passed) for job in running}
        lost = [job for job in running if self._seen[job.id].still_s >= self.still_s]
        if not lost:
            return []
        with writing(database) as session:
            expired = [job.id for job in lost if self._expire(session, job)]
            queued = select(Job).where(Job.id.in_(expired), Job.state == JobState.QUEUED)
            return list(session.scalars(queued.order_by(Job.id)))

    def _look(self, job: Job, passed: float) -> _Seen:
        known = self._seen.get(job.id)
        still = known is not None and (known.attempt, known.counter) == (job.attempt, job.counter)
        return _Seen(job.attempt, job.counter, known.still_s + passed if known and still else 0.0)

    def _expire(self, session: Session, job: Job) -> bool:
        after = after_loss(job, self.cap)
        lost = f"attempt {job.attempt}: its worker {job.worker} showed no life for {self.still_s:g} s"
        if after is JobState.FAILED:
            lost += f"; {job.fruitless} attempts in a row made no checkpoint"
        stood = (
            Job.id == job.id,
            Job.state == JobState.RUNNING,
            Job.attempt == job.attempt,
            Job.counter == job.counter,
        )
        if not changed(session, update(Job).where(*stood).values(**fate(after, lost))):
            return False
        session.add(JobLog(job_id=job.id, attempt=job.attempt, level="warning", text=lost))
        record(session, "reaper", "job.expire", f"job/{job.id}", {"attempt": job.attempt, "then": after})
        return True
