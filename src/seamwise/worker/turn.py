"""What a kind of job holds while it runs: its job, its ports, and the ways to show progress and to end well."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event
from typing import Any

from sqlalchemy.orm import Session

from seamwise.app.app import App
from seamwise.errors import SeamwiseError
from seamwise.storage.database import reading, writing
from seamwise.storage.object_rows import find_object
from seamwise.storage.object_store import CHUNK, verified
from seamwise.storage.tables import Job
from seamwise.tasks import attempts
from seamwise.tasks.attempts import Attempt


class StopWantedError(SeamwiseError):
    """The worker must go: the job was left at a place from which the next attempt goes on."""


class Turn:
    """One attempt at a job, in the process that does the work.

    folder: an empty scratch folder, gone afterwards. tell: takes messages for the worker that watches (`say` and
    `progress`). stop: set when the worker must go.
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
        """How far the job is, from 0 to 1, with any figures worth seeing (such as `loss=0.3`)."""
        self._tell({"progress": {"fraction": round(fraction, 4), **figures}})

    def give_up_if_stopping(self) -> None:
        """Raises StopWantedError when the worker must go; call it where nothing would be lost."""
        if self.stopping:
            raise StopWantedError(f"job {self.job.id}: left for another worker")

    def checkpoint(self, path: Path) -> None:
        """Makes a file the place from which the next attempt goes on."""
        stored = self.app.objects.put(chunks_of(path))
        with writing(self.app.database) as session:
            replaced = attempts.checkpoint(session, self.attempt, stored)
        if replaced:
            self.app.objects.delete(replaced)

    def restore(self, path: Path) -> bool:
        """Writes the last checkpoint's bytes to a file; False when there is none."""
        with reading(self.app.database) as session:
            sha256 = session.get_one(Job, self.job.id).checkpoint_sha256
            stored = find_object(session, sha256) if sha256 else None
        if stored is None:
            return False
        with path.open("wb") as file:
            for chunk in verified(self.app.objects, stored):
                file.write(chunk)
        return True

    def finish(self, write: Callable[[Session, Job], dict[str, Any] | None]) -> None:
        """Ends the job well, in one transaction with the rows that `write` adds; what it returns is the job's result.

        Rings afterwards for the jobs whose ids the result lists under "then".
        """
        with writing(self.app.database) as session:
            job = attempts.finish(session, self.attempt)
            if job is None:  # committed by this attempt before, and the answer got lost
                return
            job.result = write(session, job)
            gone = attempts.drop_checkpoint(session, job)
        if gone:
            self.app.objects.delete(gone)
        with reading(self.app.database) as session:
            for number in (job.result or {}).get("then", ()):
                self.app.doorbell.ring(session.get_one(Job, number))


def chunks_of(path: Path) -> Iterator[bytes]:
    """A file's bytes as an object store takes them."""
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            yield chunk
