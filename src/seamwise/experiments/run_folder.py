"""The folder of one run: it belongs to one run for good, and to one process at a time."""

from __future__ import annotations

import fcntl
import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from seamwise.errors import BadInputError, RefusedError
from seamwise.files import atomic_write

LOCK = ".lock"
WAIT_S = 10.0  # a process that was just told to end may need a moment


@contextmanager
def claimed(folder: Path, identity: Mapping[str, Any]) -> Iterator[None]:
    """Makes the folder, or finds it to be of the same run, and keeps other processes out meanwhile.

    What a killed process left half-written is removed. Raises RefusedError for the folder of another run, and when
    another process is at work in it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOCK).open("w") as lock:
        _wait_for(lock.fileno(), folder)
        _compare(folder / "run.json", identity)
        for leftover in folder.glob(".part-*"):
            leftover.unlink()
        yield


def _wait_for(lock: int, folder: Path) -> None:
    until = time.monotonic() + WAIT_S
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError as error:
            if time.monotonic() > until:
                raise RefusedError(f"{folder}: another process works on this run; wait for it or end it") from error
        time.sleep(0.1)


def _compare(path: Path, identity: Mapping[str, Any]) -> None:
    if not path.exists():
        atomic_write(path, json.dumps(identity, indent=1).encode())
        return
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise BadInputError(f"{path}: cannot be read ({error}); choose another folder, or delete this one") from error
    if not isinstance(found, dict):
        raise BadInputError(f"{path}: does not describe a run; choose another folder, or delete this one")
    differ = sorted(name for name in identity if found.get(name) != identity[name])
    if differ:
        raise RefusedError(
            f"{path.parent} holds a run with other settings ({', '.join(differ)}): choose another folder, or delete it"
        )
