"""A thread that keeps a server at the version that something outside names, an alias in a database say."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from threading import Event, Thread
from types import TracebackType

from seamwise.errors import SeamwiseError
from seamwise.serving.swap import Server

LOG = logging.getLogger(__name__)

# (sequence, version) that should serve, or None where nothing should yet. The sequence changes with every decision.
Poll = Callable[[], tuple[int, str] | None]


@dataclass(frozen=True)
class Following:
    """What a follower knows. wanted: the last answer of the poll. serving: whether it serves. poll_failure: the last
    poll's, when it failed."""

    wanted: tuple[int, str] | None
    serving: bool
    poll_failure: str | None


class Follower:
    """Polls, and swaps the server on every new answer.

    Polling that fails changes nothing: the server keeps what it has. A version that does not load is tried again after
    1, 2, 4, ... at most `longest_wait_s` seconds (the object store may be away), or at once under a new sequence.
    A rollback on the server itself stands until the sequence changes.
    """

    def __init__(self, server: Server, poll: Poll, interval_s: float = 0.5, longest_wait_s: float = 60.0) -> None:
        self.server, self.poll = server, poll
        self.interval_s, self.longest_wait_s = interval_s, longest_wait_s
        self._wanted: tuple[int, str] | None = None
        self._done = True
        self._failures = 0
        self._again_at = 0.0
        self._poll_failure: str | None = None
        self._stopped = Event()
        self._thread = Thread(target=self._run, name="seamwise-follow", daemon=True)

    def start(self) -> Follower:
        """Begin to poll, in a thread of its own; the first poll comes at once."""
        self._thread.start()
        return self

    def stop(self, timeout_s: float = 30.0) -> bool:
        """End the thread; False when it was still loading a version after that time (it ends when that has loaded)."""
        self._stopped.set()
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def status(self) -> Following:
        """What is wanted, and whether it serves."""
        return Following(self._wanted, self._wanted is not None and self._done, self._poll_failure)

    def __enter__(self) -> Follower:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _run(self) -> None:
        while not self._stopped.is_set():
            self._look()
            if not self._done and not self._stopped.is_set():
                self._try()
            self._stopped.wait(self.interval_s)

    def _look(self) -> None:
        try:
            wanted = self.poll()
        except Exception as error:  # whatever a database or its driver raises
            failure = str(error) or type(error).__name__
            if self._poll_failure is None:  # once an outage, not twice a second
                LOG.warning("cannot ask which version should serve (%s); the present one goes on", failure)
            self._poll_failure = failure
            return
        if self._poll_failure is not None:
            LOG.info("asking which version should serve works again")
            self._poll_failure = None
        if wanted is not None and wanted != self._wanted:
            self._wanted, self._done, self._failures, self._again_at = wanted, False, 0, 0.0

    def _try(self) -> None:
        if self._wanted is None or time.monotonic() < self._again_at:
            return
        try:
            self.server.swap(self._wanted[1])
            self._done = True
        except Exception as error:  # a thread that died would hold the service at one version for ever
            if not isinstance(error, SeamwiseError):  # those the server has logged, and reports
                LOG.exception("following version %s failed", self._wanted[1])
            wait_s = min(2.0**self._failures, self.longest_wait_s)
            self._failures += 1
            self._again_at = time.monotonic() + wait_s
