"""Scratch folders of jobs: each is held by a lock while its worker lives, so that those of killed workers are found."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PREFIX = "seamwise-job-"


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """An empty folder for a job, gone afterwards; where this process is killed, the next `sweep` removes it."""
    made = Path(tempfile.mkdtemp(prefix="seamwise-new-"))
    handle = os.open(made, os.O_RDONLY)
    folder = made
    try:
        fcntl.flock(handle, fcntl.LOCK_SH)
        folder = made.rename(made.with_name(made.name.replace("seamwise-new-", PREFIX)))  # locked before it is swept
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(handle)


def sweep() -> int:
    """Removes the folders that no process holds any more; how many there were."""
    swept = 0
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        with suppress(OSError):  # another user's, held, or gone by now
            handle = os.open(folder, os.O_RDONLY)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder)
                swept += 1
            finally:
                os.close(handle)
    return swept
