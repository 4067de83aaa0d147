"""A process of its own for one run: the job comes as one line of JSON on standard input, events go out as lines.

When standard input ends, the parent is gone and the process ends too: no orphan trains on.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from pathlib import Path
from typing import Any, TextIO

import torch

from seamwise.errors import SeamwiseError
from seamwise.experiments.recipe import Recipe
from seamwise.experiments.runs import CHECKPOINT_EVERY_S, Run, execute
from seamwise.experiments.streams import open_stream


def job_of(
    run: Run,
    folder: Path | None,
    checkpoint_every_s: float = CHECKPOINT_EVERY_S,
    allow_other_machine: bool = False,
) -> dict[str, Any]:
    """The line that starts a child."""
    return {
        "stream": run.stream.source(),
        "recipe": run.identity()["recipe"],
        "strategy": run.strategy,
        "parameters": dict(run.parameters),
        "seed": run.seed,
        "device": run.device,
        "split": run.split,
        "folder": None if folder is None else str(folder),
        "checkpoint_every_s": checkpoint_every_s,
        "allow_other_machine": allow_other_machine,
    }


def _end_with_parent() -> None:
    sys.stdin.read()
    os._exit(1)


def _tell(out: TextIO, **values: Any) -> None:
    print(json.dumps(values), file=out, flush=True)


def main() -> int:
    job = json.loads(sys.stdin.readline())
    threading.Thread(target=_end_with_parent, daemon=True).start()
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    out, sys.stdout = sys.stdout, sys.stderr  # stray prints must not mix with the events
    try:
        run = Run(
            open_stream(job["stream"]),
            Recipe.of(job["recipe"]),
            job["strategy"],
            job["parameters"],
            job["seed"],
            job["device"],
            job["split"],
        )
        folder = None if job["folder"] is None else Path(job["folder"])
        every, other = job.get("checkpoint_every_s", CHECKPOINT_EVERY_S), job.get("allow_other_machine", False)
        for event in execute(run, folder, checkpoint_every_s=every, allow_other_machine=other):
            values = {"kind": event.kind, "experience": event.experience, "fraction": event.fraction}
            _tell(out, **values, loss=event.loss, row=event.row)
    except SeamwiseError as error:
        _tell(out, kind="failed", message=str(error), exit_code=error.exit_code)
    return 0


if __name__ == "__main__":
    sys.exit(main())
