"""A process of its own for runs: each job comes as one line of JSON on standard input, events go out as lines.

An empty line ends it. When standard input ends, the parent is gone and the process ends too: no orphan trains on.
"""

from __future__ import annotations

import json
import os
import queue
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TextIO

import torch

from seamwise.errors import SeamwiseError
from seamwise.experiments.event import Event

TOLD_EVERY_S = 0.2  # a small network takes thousands of steps a second


def events(job: Mapping[str, Any]) -> Iterator[Event]:
    """The run that a job describes, going on."""
    folder = None if job["folder"] is None else Path(job["folder"])
    every, other = job["checkpoint_every_s"], job["allow_other_machine"]
    if job["kind"] == "domains":
        from seamwise.experiments import runs

        return runs.execute(runs.Run.of_job(job), folder, checkpoint_every_s=every, allow_other_machine=other)
    from seamwise.experiments.paper import trials

    return trials.execute(trials.Trial.of_job(job), folder, allow_other_machine=other)


def _listen(inbox: queue.Queue[str]) -> None:
    """Hands on the lines of standard input; at its end the parent is gone, and so is this process."""
    for line in sys.stdin:
        inbox.put(line.strip())
    os._exit(1)


def _tell(out: TextIO, **values: Any) -> None:
    try:
        print(json.dumps(values), file=out, flush=True)
    except BrokenPipeError:  # nobody listens: noticed here sooner than at the end of standard input
        os._exit(1)


def main() -> int:
    inbox: queue.Queue[str] = queue.Queue()
    threading.Thread(target=_listen, args=(inbox,), daemon=True).start()
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    out, sys.stdout = sys.stdout, sys.stderr  # stray prints must not mix with the events
    while line := inbox.get():
        _run(json.loads(line), out)
    return 0


def _run(job: Mapping[str, Any], out: TextIO) -> None:
    told = 0.0
    try:
        for event in events(job):
            if event.kind == "step" and time.monotonic() - told < TOLD_EVERY_S:
                continue
            told = time.monotonic()
            values = {"kind": event.kind, "experience": event.experience, "fraction": event.fraction}
            _tell(out, **values, loss=event.loss, row=event.row)
    except SeamwiseError as error:
        _tell(out, kind="failed", message=str(error), exit_code=error.exit_code)


if __name__ == "__main__":
    sys.exit(main())
