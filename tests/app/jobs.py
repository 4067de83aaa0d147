"""Does jobs in the test's own process, where a worker would start another."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event
from typing import Any

from seamwise.app.app import App
from seamwise.errors import SeamwiseError
from seamwise.storage.database import reading, writing
from seamwise.storage.tables import Job
from seamwise.tasks.attempts import Attempt, claim, fail
from seamwise.tasks.lists import find_job
from seamwise.worker.kinds import work_of
from seamwise.worker.turn import Turn


def work(app: App, told: list[dict[str, Any]] | None = None, stop: Event | None = None) -> Job:
    """Does the next job to its end, good or bad; the job as it is then."""
    with writing(app.database) as session:
        job = claim(session, "here", ["cpu"])
    assert job is not None, "no job waits"
    messages = [] if told is None else told
    with TemporaryDirectory() as folder:
        try:
            work_of(job.kind)(Turn(app, job, Path(folder), messages.append, stop or Event()))
        except SeamwiseError as error:
            with writing(app.database) as session:
                fail(session, Attempt(job.id, job.attempt), str(error))
    return job_of(app, job.id)


def job_of(app: App, job_id: int) -> Job:
    with reading(app.database) as session:
        return find_job(session, job_id)
