"""A child whose work is a toy that counts: `toy_child.py` in place of `-m seamwise.worker.child`.

spec: steps; pause_s before each; save: steps between checkpoints; and what goes wrong, once at each step of a kind:
die_at (killed like one without memory), break_at (an unknown exception), refuse_at, away_at.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from typing import Any

from seamwise.errors import RefusedError
from seamwise.storage.faults import UnavailableError
from seamwise.worker import child
from seamwise.worker.turn import Turn


def count(turn: Turn) -> None:
    spec, path = turn.job.spec, turn.folder / "count"
    step = int(path.read_text()) if turn.restore(path) else 0
    turn.say(f"from {step} in process {os.getpid()} with {os.environ['OMP_NUM_THREADS']} threads")
    print("a stray print")
    while step < spec["steps"]:
        if turn.stopping:
            save(turn, step)
            turn.give_up_if_stopping()
        time.sleep(spec.get("pause_s", 0))
        step += 1
        misfortune(turn, step)
        turn.progress(step / spec["steps"], step=step)
        if step % spec.get("save", 10**9) == 0:
            save(turn, step)
    turn.finish(lambda _session, _job: {"counted": step})


def save(turn: Turn, step: int) -> None:
    path = turn.folder / "count"
    path.write_text(str(step))
    turn.checkpoint(path)


def misfortune(turn: Turn, step: int) -> None:
    spec: dict[str, Any] = turn.job.spec
    always = spec.get("always", False)
    if turn.job.attempt > 1 and not always:
        return
    if step == spec.get("die_at"):
        os.kill(os.getpid(), signal.SIGKILL)
    if step == spec.get("break_at"):
        raise ZeroDivisionError("a mistake")
    if step == spec.get("refuse_at"):
        raise RefusedError("never")
    if step == spec.get("away_at"):
        raise UnavailableError("nobody answers")


if __name__ == "__main__":
    child.work_of = lambda _kind: count
    sys.exit(child.main())
