"""A worker: claims jobs, runs each in a child process, and brings back what other workers lost."""

from __future__ import annotations

import logging
import os
import platform
import secrets
from collections.abc import Sequence
from contextlib import suppress
from threading import Event, Thread

from structlog.contextvars import bound_contextvars

from seamwise.app.app import App
from seamwise.storage.database import writing
from seamwise.storage.faults import UnavailableError
from seamwise.storage.tables import Job
from seamwise.tasks.attempts import claim
from seamwise.tasks.doorbell import LocalDoorbell
from seamwise.tasks.reaper import Reaper
from seamwise.worker.attend import Ending, Watch, settle
from seamwise.worker.launch import COMMAND, Child, environment_of
from seamwise.worker.scratch import scratch_folder, sweep

LOG = logging.getLogger(__name__)
LOOK_EVERY_S = 1.0
NICE = 10  # requests on the same machine go first
SAY_GOODBYE_S = 10.0


class Worker:
    """Works on the jobs of some queues.

    slots: jobs at the same time. command: the child's, for tests. `start` and `stop` are for a process that has more to
    do; a Celery consumer calls `work` for each ring, and now and then without one, and `keep` beside it.
    """

    def __init__(
        self, app: App, *, queues: Sequence[str] = ("cpu",), slots: int = 1, command: Sequence[str] = COMMAND
    ) -> None:
        self.app, self.queues, self.slots = app, tuple(queues), slots
        self.name = f"{platform.node()}-{os.getpid()}-{secrets.token_hex(2)}"
        self.stopping = Event()
        self._command = tuple(command)
        self._threads: list[Thread] = []

    def start(self) -> None:
        """Begins to work, in threads of this process."""
        loops = [self._work_on] * self.slots + [self.keep]
        self._threads = [Thread(target=loop, name=f"worker-{place}") for place, loop in enumerate(loops)]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Claims no more; jobs that run are left at their next checkpoint and given back. Waits until that is done."""
        self.stopping.set()
        for thread in self._threads:
            thread.join()

    def work(self, job_id: int | None = None) -> bool:
        """Does the most urgent job that waits, or the one named; False when there was none."""
        with writing(self.app.database) as session:
            job = claim(session, self.name, self.queues, job_id)
        if job is None:
            return False
        with bound_contextvars(job=job.id, attempt=job.attempt):
            LOG.info("job %d (%s): attempt %d begins", job.id, job.kind, job.attempt)
            ending = self._attended(job)
            LOG.info("job %d (%s): attempt %d: %s %s", job.id, job.kind, job.attempt, ending.how, ending.error)
            settle(self.app, job, ending, self.stopping)
        return True

    def keep(self) -> None:
        """Until the worker stops: queues lost jobs again.

        First it removes the scratch folders that killed workers left on this machine.
        """
        with suppress(OSError):  # without a temporary folder jobs say so themselves
            if swept := sweep():
                LOG.info("%d scratch folders of killed workers removed", swept)
        lease_s = self.app.settings.lease_s
        reaper = Reaper(lease_s)
        while not self.stopping.wait(lease_s / 6):
            try:
                for job in reaper.sweep(self.app.database):
                    self.app.doorbell.ring(job)
            except UnavailableError as error:
                LOG.warning("%s", error)
            except Exception:  # whatever it is, the next look may go well; without looks no lost job comes back
                LOG.exception("a look at the jobs failed")

    def _work_on(self) -> None:
        while not self.stopping.is_set():
            try:
                if not self.work():
                    self._wait()
            except UnavailableError as error:
                LOG.warning("%s", error)
                self.stopping.wait(LOOK_EVERY_S)
            except Exception:  # the loop outlives any one job
                LOG.exception("a job could not be attended to")
                self.stopping.wait(LOOK_EVERY_S)

    def _wait(self) -> None:
        """Until a ring, or a second: jobs that other processes made are found by looking."""
        if isinstance(self.app.doorbell, LocalDoorbell):
            self.app.doorbell.wait(LOOK_EVERY_S)
        else:
            self.stopping.wait(LOOK_EVERY_S)

    def _attended(self, job: Job) -> Ending:
        """Runs the job's child to its end."""
        threads = int(job.spec.get("threads") or self.app.settings.threads)
        try:
            with scratch_folder() as folder:
                order = {"job": job.id, "attempt": job.attempt, "folder": str(folder), "nice": NICE}
                return self._watched(job, Child(order, environment_of(self.app.settings, threads), self._command))
        except OSError as error:  # no space, no memory, too many processes
            return Ending("failed", f"no process could be started ({error}); free something", retry=True)

    def _watched(self, job: Job, child: Child) -> Ending:
        grace_s = 0.0  # a job that was cancelled or lost must not go on for a moment
        watch = Watch(self.app, job, child, self.stopping)
        try:
            ending = watch.to_the_end()
            grace_s = SAY_GOODBYE_S if ending.how in ("done", "failed") else 0.0
        except UnavailableError as error:
            ending = Ending("unavailable", str(error))
        except Exception as error:  # whatever it is, the job must not stay running without anybody who watches
            LOG.exception("job %d: the watch over it failed", job.id)
            ending = Ending("failed", f"the watch over it failed: {type(error).__name__}: {error}", retry=True)
        finally:
            child.end(grace_s)
        watch.last_words()
        return ending
