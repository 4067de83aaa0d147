"""Watching over one attempt: signs of life, news, cancellation and stopping, until its child has ended."""

from __future__ import annotations

import logging
import time
from contextvars import copy_context
from dataclasses import dataclass
from threading import Event, Thread
from typing import Any, Literal

from seamwise.app.app import App
from seamwise.storage.database import reading, writing
from seamwise.storage.faults import UnavailableError
from seamwise.storage.tables import Job, JobLog, JobState
from seamwise.tasks.attempts import Attempt, LogLine, StaleAttemptError, fail, give_back, heartbeat
from seamwise.tasks.lists import find_job
from seamwise.worker.launch import Child

LOG = logging.getLogger(__name__)
NEWS_EVERY_S = 1.0
TICK_S = 0.2
MOST_LINES, LONGEST_LINE = 500, 8000  # of one sign of life: a chatty job must not fill the database
LEAVE_S = 30.0  # how long a child that was asked to stop, or has finished, may take to end
LONGEST_PAUSE_S = 30.0
_SILENT = "the database took a sign of life and did not answer"

How = Literal["done", "stopped", "failed", "unavailable", "lost"]


@dataclass(frozen=True)
class Ending:
    """How an attempt ended. "lost": the job is no longer this attempt's. retry: another attempt may go well."""

    how: How
    error: str = ""
    retry: bool = False


class Beat(Thread):
    """A sign of life with its news, on its way in a thread of its own: a database may take it and never answer.

    Once it has ended: error says what came of it, if not what was wished; succeeded, whether the job has.
    """

    def __init__(self, app: App, attempt: Attempt, progress: dict[str, Any] | None, lines: list[LogLine]) -> None:
        super().__init__(name="worker-beat", daemon=True)
        self.sent = time.monotonic()
        self.progress, self.lines = progress, tuple(lines)
        self.error: Exception | None = None
        self.succeeded = False
        self._app, self._attempt, self._context = app, attempt, copy_context()

    def run(self) -> None:
        try:
            self._context.run(self._send)
        except Exception as error:
            self.error = error

    def _send(self) -> None:
        try:
            with writing(self._app.database) as session:
                heartbeat(session, self._attempt, progress=self.progress, lines=self.lines)
        except StaleAttemptError:  # the child's own `finish` ends the job too: then it has only to say so
            with reading(self._app.database) as session:
                job = find_job(session, self._attempt.job_id)
            self.succeeded = (job.attempt, job.state) == (self._attempt.number, JobState.SUCCEEDED)
            raise


class Watch:
    """Watches over one attempt, and never waits for the database meanwhile. stopping: set when the worker must go."""

    def __init__(self, app: App, job: Job, child: Child, stopping: Event) -> None:
        self._app, self._job, self._child, self._stopping = app, job, child, stopping
        self._attempt = Attempt(job.id, job.attempt)
        self._beat_every_s = app.settings.lease_s / 6
        self._beaten = self._renewed = time.monotonic()
        self._beat: Beat | None = None  # the one on its way
        self._lines = [LogLine(f"attempt {job.attempt} by worker {job.worker}")]
        self._progress: dict[str, Any] | None = None
        self._asked: float | None = None  # when the child was asked to stop
        self._committed: float | None = None  # when the job was seen to have succeeded

    def to_the_end(self) -> Ending:
        """How the attempt ended; the child may still be running."""
        ending = None
        while ending is None:
            message = self._child.hear(TICK_S)
            ending = self._took(message) if message else None
            ending = ending or self._stop_if_wanted() or self._beat_if_due()
        return ending

    def _took(self, message: dict[str, Any]) -> Ending | None:
        """Keeps the news of a message; an ending where it is one."""
        if "line" in message and len(self._lines) < MOST_LINES:
            self._lines.append(LogLine(str(message["line"])[:LONGEST_LINE], message["level"]))
        elif "progress" in message:
            self._progress = message["progress"]
        elif "ring" in message:
            ring(self._app, message["ring"])
        elif "ended" in message:
            return Ending(message["ended"], message.get("error", ""), message.get("retry", False))
        elif "gone" in message:
            return self._without_a_word(message["gone"])
        return None

    def _without_a_word(self, code: int) -> Ending:
        if self._committed is not None:
            return Ending("done")
        why = f"was ended by signal {-code}" if code < 0 else f"ended with code {code}"
        hint = " (out of memory?)" if code == -9 else ""
        return Ending("failed", f"the job's process {why}{hint} before it was done", retry=True)

    def _stop_if_wanted(self) -> Ending | None:
        now = time.monotonic()
        if not self._stopping.is_set():
            return None
        if self._asked is None:
            self._asked = now
            self._child.ask_to_stop()
        return Ending("stopped") if now - self._asked > min(LEAVE_S, self._app.settings.lease_s / 2) else None

    def _beat_if_due(self) -> Ending | None:
        """Shows life; an ending where the job is gone, or where it may be given to another at any moment."""
        now = time.monotonic()
        if self._committed is not None:
            return Ending("done") if now - self._committed > LEAVE_S else None
        if self._beat is not None:
            return self._unanswered(_SILENT) if self._beat.is_alive() else self._answered(self._beat)
        news = self._progress is not None or self._lines
        if now - self._beaten < (min(NEWS_EVERY_S, self._beat_every_s) if news else self._beat_every_s):
            return None
        self._beaten, self._beat = now, Beat(self._app, self._attempt, self._progress, self._lines)
        self._beat.start()
        return None

    def _answered(self, beat: Beat) -> Ending | None:
        """What the database said to a sign of life."""
        self._beat = None
        if isinstance(beat.error, UnavailableError):
            return self._unanswered(str(beat.error))
        if isinstance(beat.error, StaleAttemptError):
            if not beat.succeeded:
                return Ending("lost", str(beat.error))
            self._committed = time.monotonic()
        elif beat.error is not None:
            raise beat.error
        else:
            self._renewed = beat.sent
            self._forget(beat)
        return None

    def _unanswered(self, why: str) -> Ending | None:
        """The end comes well before others may take the job."""
        silent_s = time.monotonic() - self._renewed
        return Ending("unavailable", why) if silent_s > self._app.settings.lease_s / 2 else None

    def _forget(self, beat: Beat) -> None:
        """The news that came through."""
        del self._lines[: len(beat.lines)]
        if self._progress is beat.progress:
            self._progress = None

    def last_words(self) -> None:
        """Keeps lines said just before the end: facts about this attempt, whoever has the job now.

        For when the child has ended: the database may take its time.
        """
        if self._beat is not None:
            self._beat.join(self._beat_every_s)
            if not self._beat.is_alive() and self._beat.error is None:
                self._forget(self._beat)
        number, attempt = self._attempt.job_id, self._attempt.number
        try:
            with writing(self._app.database) as session:
                session.add_all(
                    JobLog(job_id=number, attempt=attempt, level=line.level, text=line.text) for line in self._lines
                )
        except Exception:  # whatever was wrong with them, how the attempt ended must still be written
            LOG.warning("job %d: its last %d lines are lost", number, len(self._lines), exc_info=True)


def settle(app: App, job: Job, ending: Ending, stopping: Event) -> None:
    """Writes how an attempt ended, however long the database takes to answer, and rings if the job waits again."""
    if ending.how in ("done", "lost"):
        return
    pause_s = 1.0
    while True:
        try:
            _write(app, Attempt(job.id, job.attempt), ending)
            break
        except StaleAttemptError as error:
            LOG.info("%s", error)
            return
        except UnavailableError as error:
            LOG.warning("job %d: its end cannot be written yet (%s)", job.id, error)
            if stopping.wait(pause_s) and pause_s > LONGEST_PAUSE_S / 2:
                return  # the lease brings it back
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
    ring(app, [job.id])
    if ending.how == "unavailable":
        stopping.wait(min(2.0 ** min(job.attempt, 5), LONGEST_PAUSE_S))  # the next job would meet the same outage


def _write(app: App, attempt: Attempt, ending: Ending) -> None:
    with writing(app.database) as session:
        if ending.how == "failed":
            fail(session, attempt, ending.error, retry=ending.retry)
        else:
            give_back(session, attempt)
        if ending.error:
            level = "error" if ending.how == "failed" else "warning"
            session.add(JobLog(job_id=attempt.job_id, attempt=attempt.number, level=level, text=ending.error))


def ring(app: App, numbers: list[int]) -> None:
    """Rings for those of the jobs that wait; without a database nobody could take them either."""
    try:
        with reading(app.database) as session:
            jobs = [find_job(session, number) for number in numbers]
    except UnavailableError:
        return
    for job in jobs:
        if job.state is JobState.QUEUED:
            app.doorbell.ring(job)
