"""Rows that tests need more than once."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

from sqlalchemy import Engine

from seamwise.storage.database import writing
from seamwise.storage.object_store import Stored
from seamwise.storage.tables import Job
from seamwise.tasks.attempts import Attempt, claim
from seamwise.tasks.enqueue import NewJob, enqueue


def stored(content: str) -> Stored:
    """What a store would say about some bytes, without one."""
    sha256 = hashlib.sha256(content.encode()).hexdigest()
    return Stored(f"{sha256[:2]}/{sha256[2:32]}", sha256, len(content))


def add_job(database: Engine, **fields: Any) -> Job:
    with writing(database) as session:
        return enqueue(session, NewJob(**{"kind": "train", "spec": {}, **fields}), actor="key/1")


def claimed(database: Engine, worker: str = "w", **fields: Any) -> Attempt:
    """A new job's first attempt."""
    job_id = add_job(database, **fields).id
    with writing(database) as session:
        job = claim(session, worker, ["cpu"], job_id)
        assert job is not None
        return Attempt(job.id, job.attempt)


def at_once(count: int, action: Callable[[int], Any]) -> list[Any]:
    """Runs `action(i)` in `count` threads that start together; results, or the errors they raised."""
    start = Barrier(count)

    def run(number: int) -> Any:
        start.wait()
        try:
            return action(number)
        except Exception as error:
            return error

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(run, range(count)))
