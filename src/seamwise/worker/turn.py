"""What a kind of job holds while it runs: its job, its ports, and the ways to show progress and to end well."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from threading import Event
from typing import Any

from sqlalchemy.orm import Session

from seamwise.app.app import App
from seamwise.app.files import fetch, shelf
from seamwise.errors import SeamwiseError
from seamwise.storage.database import reading, writing
from seamwise.storage.faults import UnavailableError
from seamwise.storage.tables import Job
from seamwise.tasks import attempts
from seamwise.tasks.attempts import Attempt


class StopWantedError(SeamwiseError):
    """The worker must go: the job was left at a place from which the next attempt goes on."""


class Turn:
    """One attempt at a job, in the process that does the work.

    folder: an empty scratch folder, gone afterwards. tell: takes messages for the worker that watches (`say`,
    `progress`, and the jobs to ring for). stop: set when the worker must go.
    """

    def __init__(self, app: App, job: Job, folder: Path, tell: Callable[[dict[str, Any]], None], stop: Event) -> None:
        self.app, self.job, self.folder = app, job, folder
        self.attempt = Attempt(job.id, job.attempt)
        self._tell, self._stop = tell, stop

    @property
    def stopping(self) -> bool:
        """Whether to checkpoint now and raise StopWantedError."""
        return self._stop.is_set()

    def say(self, text: str, level: str = "info") -> None:
        """A line for the job's log."""
        self._tell({"line": text, "level": level})

    def progress(self, fraction: float, **figures: Any) -> None:
        """How far the job is, from 0 to 1, with any figures worth seeing (such as `loss=0.3`).

        What is not finite is left out: JSON has no such numbers, and a loss may be NaN before anybody has looked.
        """
        told = {"fraction": round(fraction, 4), **figures}
        finite = {name: value for name, value in told.items() if not isinstance(value, float) or math.isfinite(value)}
        self._tell({"progress": finite})

    def give_up_if_stopping(self) -> None:
        """Raises StopWantedError when the worker must go; call it where nothing would be lost."""
        if self.stopping:
            raise StopWantedError(f"job {self.job.id}: left for another worker")

    def checkpoint(self, path: Path) -> None:
        """Makes a file the place from which the next attempt goes on; where the stores do not answer, it is let go."""
        try:
            with shelf(self.app) as objects:
                stored = objects.put_file(path)
                with writing(self.app.database) as session:
                    objects.release(attempts.checkpoint(session, self.attempt, stored, objects.commit))
        except UnavailableError as error:  # the work itself needs no store until its end
            self.say(f"no checkpoint: {error}", "warning")

    def restore(self, path: Path) -> bool:
        """Writes the last checkpoint's bytes to a file; False when there is none."""
        with reading(self.app.database) as session:
            sha256 = session.get_one(Job, self.job.id).checkpoint_sha256
        if sha256 is not None:
            fetch(self.app, sha256, path)
        return sha256 is not None

    def finish(self, write: Callable[[Session, Job], dict[str, Any] | None]) -> None:
        """Ends the job well, in one transaction with the rows that `write` adds; what it returns is the job's result.

        Jobs whose ids the result lists under "then" are rung for afterwards. Where the database does not answer it is
        tried again for half a minute, so that `write` may be called more than once.
        """
        for pause_s in (1, 2, 4, 8, 15):
            try:
                return self._finish(write)
            except UnavailableError as error:
                self.say(f"cannot finish yet: {error}", "warning")
                time.sleep(pause_s)
        return self._finish(write)

    def _finish(self, write: Callable[[Session, Job], dict[str, Any] | None]) -> None:
        with writing(self.app.database) as session:
            job = attempts.finish(session, self.attempt)
            if job is None:  # committed by this attempt before, and the answer got lost
                return
            job.result = write(session, job)
            gone = attempts.drop_checkpoint(session, job)
        if then := (job.result or {}).get("then"):
            self._tell({"ring": then})
        if gone:
            with suppress(UnavailableError):  # a leftover, collected later
                self.app.objects.delete(gone)
