"""Processes as the system sees them."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any


def until(condition: Callable[[], Any], seconds: float = 30) -> Any:
    """What a condition gives as soon as it holds."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := condition():
            return found
        time.sleep(0.02)
    raise AssertionError("it did not happen in time")


def alive(pid: int) -> bool:
    """Whether a process runs: not gone, and not only waiting to be asked how it ended."""
    found = _state(Path(f"/proc/{pid}"))
    return found is not None and found[0] != "Z"


def children() -> list[int]:
    """The processes of jobs that this one started and that still run; other tests may have left it other ones."""
    found = ((path, _state(path)) for path in Path("/proc").glob("[0-9]*"))
    mine = [path for path, state in found if state and state[0] != "Z" and int(state[1]) == os.getpid()]
    return [int(path.name) for path in mine if _does_a_job(path)]


def _does_a_job(folder: Path) -> bool:
    """Whether a process runs `seamwise.worker.child`, or the toy of the tests in its place."""
    try:
        return b"child" in (folder / "cmdline").read_bytes()
    except OSError:
        return False


def _state(folder: Path) -> list[str] | None:
    """The fields after a process's name: its state, its parent, ..."""
    try:
        return (folder / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
