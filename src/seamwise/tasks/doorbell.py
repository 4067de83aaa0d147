"""Wakes workers when a job waits; the jobs table alone says which."""

from __future__ import annotations

from collections import deque
from threading import Condition
from typing import Protocol

from seamwise.errors import UsageError
from seamwise.storage.tables import Job

REMEMBERED = 1000


class Doorbell(Protocol):
    """The port. A ring may get lost or come twice: workers also look by themselves, and a claim goes to one of them."""

    def ring(self, job: Job) -> None:
        """Says that a committed job waits. Quick, and never fails: the job is safe, at worst it is found later."""


class LocalDoorbell:
    """The doorbell of one process; workers of other processes look at the jobs table about once a second."""

    def __init__(self) -> None:
        self._rung: deque[int] = deque(maxlen=REMEMBERED)
        self._changed = Condition()

    def ring(self, job: Job) -> None:
        with self._changed:
            self._rung.append(job.id)
            self._changed.notify()

    def wait(self, timeout_s: float) -> int | None:
        """The next job rung for, at once or when it comes; None after `timeout_s` seconds: look at the table anyway."""
        with self._changed:
            self._changed.wait_for(lambda: self._rung, timeout_s)
            return self._rung.popleft() if self._rung else None


def open_doorbell(url: str) -> Doorbell:
    """The doorbell at a URL: `local:` or `redis://host:6379/0`. Opens no connection yet; UsageError for any other."""
    scheme = url.partition(":")[0]
    match scheme:
        case "local":
            return LocalDoorbell()
        case "redis" | "rediss":
            from seamwise.tasks.celery import CeleryDoorbell  # only a cluster has Celery installed

            return CeleryDoorbell(url)
    raise UsageError(f"no queue of the kind {scheme!r}: write local: or redis://host:6379/0")
