"""Jobs: how far they are, how they end, and waiting for that."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

from seamwise.client.calls import AwayError, Calls
from seamwise.client.records import Job, LogLine
from seamwise.errors import SeamwiseError


class JobFailedError(SeamwiseError):
    """A job that was waited for and failed, or was cancelled. job: as it ended."""

    def __init__(self, job: Job) -> None:
        super().__init__(f"job {job.id} ({job.kind}) {job.state}" + (f": {job.error}" if job.error else ""))
        self.job = job


class News(NamedTuple):
    """Something a running job told. what: line, progress or end; told: the line, the progress, or the ended job."""

    what: str
    told: dict[str, Any]


class Jobs:
    """Work that takes time."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def list(self, *, state: str | None = None, kind: str | None = None, line: str | None = None) -> Iterator[Job]:
        """All jobs, newest first."""
        return self._calls.pages("/jobs", Job, state=state, kind=kind, line=line)

    def get(self, number: int) -> Job:
        return self._calls.get(f"/jobs/{number}", Job)

    def cancel(self, number: int) -> Job:
        """Ends a job that has not ended; its own end may have come first."""
        return self._calls.post(f"/jobs/{number}/cancel", Job, again=True)

    def requeue(self, number: int) -> Job:
        """Queues a failed or cancelled job again, to go on from its last checkpoint."""
        return self._calls.post(f"/jobs/{number}/requeue", Job)

    def log(self, number: int) -> Iterator[LogLine]:
        """All that a job has written so far, oldest first."""
        return self._calls.pages(f"/jobs/{number}/log", LogLine)

    def follow(self, number: int) -> Iterator[News]:
        """What a job tells, from its first line to its end; takes up where it was when the connection breaks."""
        seen: str | None = None
        trouble_since: float | None = None
        while True:
            try:
                headers = {"Last-Event-ID": seen} if seen else None
                with self._calls.stream(f"/jobs/{number}/events", headers) as answer:
                    for mark, what, told in _events(answer.iter_lines()):
                        seen, trouble_since = mark or seen, None
                        yield News(what, told)
                        if what == "end":
                            return
            except AwayError:
                now = time.monotonic()
                trouble_since = trouble_since or now
                if now - trouble_since > self._calls.patience_s:
                    raise
            time.sleep(0.5)

    def wait(self, number: int, *, timeout_s: float | None = None, look_every_s: float = 0.5) -> Job:
        """The job once it has succeeded.

        Raises JobFailedError when it failed or was cancelled, AwayError when `timeout_s` passed first: the job goes on.
        """
        end = None if timeout_s is None else time.monotonic() + timeout_s
        while True:
            job = self.get(number)
            if job.ended:
                if job.state != "succeeded":
                    raise JobFailedError(job)
                return job
            if end is not None and time.monotonic() > end:
                raise AwayError(f"job {number} ({job.kind}) is still {job.state} after {timeout_s:g} s; it goes on")
            time.sleep(look_every_s)


def _events(lines: Iterator[str]) -> Iterator[tuple[str | None, str, dict[str, Any]]]:
    """Server-sent events: their id, name and data."""
    event: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(":")
        if line and name:
            event[name] = event[name] + "\n" + value.removeprefix(" ") if name in event else value.removeprefix(" ")
        elif not line and "data" in event:
            yield event.get("id"), event.get("event", "message"), json.loads(event["data"])
        if not line:
            event = {}
