"""The child process in which a job runs: started in a session of its own, spoken to over pipes, ended with the worker.

To the child: one line of JSON that names the job, then `stop` when it must leave the job; the end of that pipe means
that the worker is gone. From the child: lines of JSON, the last of which says how it ended.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from threading import Thread
from typing import Any

from seamwise.settings import Settings

COMMAND = (sys.executable, "-m", "seamwise.worker.child")
# Each library has its own variable, read when it is loaded: so they are set before the process begins.
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")


def environment_of(settings: Settings, threads: int) -> dict[str, str]:
    """The environment of a child: this process's own, with these settings and so many threads for each library."""
    values = settings.model_dump(mode="json", exclude={"secret_key"})  # no child signs anything
    found = {name: value for name, value in os.environ.items() if not name.upper().startswith("SEAMWISE_")}
    found |= {f"SEAMWISE_{name}".upper(): _as_text(value) for name, value in values.items() if value is not None}
    # Threads that wait must not spin: they would take the cores from the requests of the same machine.
    return found | dict.fromkeys(_THREADS, str(threads)) | {"OMP_WAIT_POLICY": "PASSIVE"}


def _as_text(value: Any) -> str:
    """A setting as its variable holds it."""
    if isinstance(value, str):
        return value
    return ",".join(map(str, value)) if isinstance(value, list) else json.dumps(value)


class Child:
    """One child. order: what it is told first, as JSON values."""

    def __init__(self, order: Mapping[str, Any], environment: Mapping[str, str], command: Sequence[str]) -> None:
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=dict(environment), start_new_session=True
        )
        self._messages: queue.Queue[dict[str, Any]] = queue.Queue()
        self._listener = Thread(target=self._listen, daemon=True)
        self._listener.start()
        self._write(json.dumps(order))

    @property
    def pid(self) -> int:
        return self._process.pid

    def hear(self, timeout_s: float) -> dict[str, Any] | None:
        """The next message, or None after so many seconds; `{"gone": exit code}` when the process has ended."""
        try:
            return self._messages.get(timeout=timeout_s)
        except queue.Empty:
            return None

    def ask_to_stop(self) -> None:
        """Tells it to leave its job where the next attempt can go on."""
        self._write("stop")

    def end(self, grace_s: float = 0.0) -> None:
        """Waits so long for it to end by itself, then ends it and everything in its session."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(grace_s)
        if self._process.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        self._listener.join()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            with suppress(OSError):
                pipe.close()

    def _write(self, line: str) -> None:
        assert self._process.stdin is not None
        with suppress(OSError):  # it has ended: the listener says so
            self._process.stdin.write(f"{line}\n".encode())
            self._process.stdin.flush()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            with suppress(ValueError):  # cut off by the child's end
                self._messages.put(json.loads(line))
        self._messages.put({"gone": self._process.wait()})
