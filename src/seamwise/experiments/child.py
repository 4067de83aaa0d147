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

from seamwise.continual import DivergenceError
from seamwise.errors import SeamwiseError
from seamwise.experiments.recipe import Recipe
from seamwise.experiments.runs import Run, execute
from seamwise.experiments.streams import open_stream


def job_of(run: Run, folder: Path | None) -> dict[str, Any]:
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
        for event in execute(run, None if job["folder"] is None else Path(job["folder"])):
            values = {"kind": event.kind, "experience": event.experience, "fraction": event.fraction}
            _tell(out, **values, loss=event.loss, row=event.row)
    except SeamwiseError as error:
        _tell(out, kind="failed", message=str(error), exit_code=error.exit_code)
    except (DivergenceError, MemoryError) as error:
        _tell(out, kind="failed", message=str(error) or "out of memory", exit_code=1)
    return 0


if __name__ == "__main__":
    sys.exit(main())
