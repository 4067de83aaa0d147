"""The process of one job: `python -m seamwise.worker.child`, told by its worker over pipes (`seamwise.worker.launch`).

It holds the job's work and nothing of the watching over it, so that it can be killed at any moment.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import traceback
from collections.abc import Mapping
from io import FileIO
from pathlib import Path
from threading import Event, Lock, Thread
from typing import Any, TextIO

from structlog.contextvars import bind_contextvars

from seamwise.app.app import open_app
from seamwise.app.logs import set_up_logs
from seamwise.errors import BadInputError, NotFoundError, RefusedError, SeamwiseError, UsageError
from seamwise.settings import read_settings
from seamwise.storage.database import reading
from seamwise.storage.faults import UnavailableError
from seamwise.storage.tables import JobState
from seamwise.tasks.attempts import StaleAttemptError
from seamwise.tasks.lists import find_job
from seamwise.worker.kinds import work_of
from seamwise.worker.turn import StopWantedError, Turn

_HOPELESS = (BadInputError, UsageError, NotFoundError, RefusedError)  # the same again would fail the same way


class Teller:
    """Writes messages as lines of JSON; several threads may."""

    def __init__(self, out: TextIO) -> None:
        self._out, self._turn = out, Lock()

    def __call__(self, message: Mapping[str, Any]) -> None:
        with self._turn:
            self._out.write(json.dumps(message) + "\n")
            self._out.flush()


def main() -> int:
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # stray prints, also those of libraries in C, must not mix with the messages
    # Unbuffered: a thread that waits in a buffered reader would stop the interpreter from ending.
    told = open(0, "rb", buffering=0, closefd=False)  # noqa: SIM115 (open as long as the process is)
    order = json.loads(told.readline())
    stop = Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())  # where a supervisor signals every process of a group
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Thread(target=_listen, args=(told, stop, Path(order["folder"])), daemon=True).start()
    os.nice(order["nice"])
    tell = Teller(out)
    tell(_done(order, stop, tell))
    return 0


def _listen(told: FileIO, stop: Event, folder: Path) -> None:
    """Waits for the word to stop; at the pipe's end the worker is gone, and so is this process: no orphan works on."""
    for line in told:
        if line.strip() == b"stop":
            stop.set()
    shutil.rmtree(folder, ignore_errors=True)
    os._exit(1)


def _done(order: Mapping[str, Any], stop: Event, tell: Teller) -> dict[str, Any]:
    """Does the job; how that ended, as the worker is told."""
    try:
        settings = read_settings()
        set_up_logs(settings)
        bind_contextvars(job=order["job"], attempt=order["attempt"])
        app = open_app(settings)
        with reading(app.database) as session:
            job = find_job(session, order["job"])
        if (job.attempt, job.state) != (order["attempt"], JobState.RUNNING):
            raise StaleAttemptError(f"job {job.id} was taken away before attempt {order['attempt']} began")
        work_of(job.kind)(Turn(app, job, Path(order["folder"]), tell, stop))
    except StopWantedError:
        return {"ended": "stopped"}
    except StaleAttemptError as error:
        return {"ended": "lost", "error": str(error)}
    except UnavailableError as error:
        return {"ended": "unavailable", "error": str(error)}
    except SeamwiseError as error:
        return {"ended": "failed", "error": str(error), "retry": not isinstance(error, _HOPELESS)}
    except Exception as error:  # a kind's own mistake, or a library's: one more try may go well
        tell({"line": traceback.format_exc(), "level": "error"})
        return {"ended": "failed", "error": f"{type(error).__name__}: {error}", "retry": True}
    return {"ended": "done"}


if __name__ == "__main__":
    sys.exit(main())
