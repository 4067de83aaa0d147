"""Processes that work on a database, to be killed: `work.py claim URL COUNT` and `work.py churn URL ROUNDS SEED`.

One process imports everything and forks the others, each of which opens the database for itself.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from collections.abc import Callable

from sqlalchemy import Engine

from seamwise.storage.database import open_database, writing
from seamwise.storage.idempotency import Request
from seamwise.tasks.attempts import Attempt, LogLine, claim, finish, heartbeat
from seamwise.tasks.enqueue import NewJob, enqueue


def forked(action: Callable[[], None]) -> int:
    """The number of a new process that does `action` and ends."""
    number = os.fork()
    if number == 0:
        try:
            action()
        except BaseException as error:
            print(repr(error), file=sys.stderr, flush=True)
            os._exit(1)
        os._exit(0)
    return number


def claim_all(url: str, worker: str) -> None:
    """Claims jobs until none waits and prints each; without waiting for the others to begin."""
    database = open_database(url)
    lines = []
    while True:
        with writing(database) as session:
            job = claim(session, worker, ["cpu"])
        if job is None:
            break
        lines.append(f"{worker} {job.id} {job.attempt}\n")
    os.write(1, "".join(lines).encode())  # one write: lines of different processes do not mix


def churn(url: str, salt: str, begun: int) -> None:
    """Makes, claims, logs and finishes jobs until killed; each finish writes its one line in the same transaction."""
    database = open_database(url)
    for number in range(10**6):
        one_job(database, f"{salt}-{number}")
        if number == 0:
            os.write(begun, b"1")


def one_job(database: Engine, key: str) -> None:
    request = Request.of("key/1", key, {"key": key})
    for _ in range(2):
        with writing(database) as session:
            enqueue(session, NewJob("churn", {"key": key}), actor="key/1", request=request)
    with writing(database) as session:
        job = claim(session, "churn", ["cpu"])
        assert job is not None
    attempt = Attempt(job.id, job.attempt)
    with writing(database) as session:
        heartbeat(session, attempt, progress={"done": 1}, lines=[LogLine("beat")])
    with writing(database) as session:
        finish(session, attempt, {"made": 1})
        session.flush()
        session.connection().exec_driver_sql(
            f"INSERT INTO job_log (job_id, attempt, level, text, at) SELECT id, attempt, 'info', 'made', created_at "
            f"FROM job WHERE id = {job.id}"
        )


def main(what: str, url: str, count: str, seed: str = "0") -> None:
    open_database(url)  # so that its driver is imported before the forks
    if what == "claim":
        workers = [forked(lambda name=f"w{number}": claim_all(url, name)) for number in range(int(count))]
        failed = [os.waitstatus_to_exitcode(os.waitpid(worker, 0)[1]) for worker in workers]
        sys.exit(int(any(failed)))
    draw = random.Random(int(seed))
    wait_for, begun = os.pipe()
    for number in range(int(count)):
        worker = forked(lambda number=number: churn(url, f"{seed}-{number}", begun))
        os.read(wait_for, 1)
        time.sleep(draw.uniform(0.0, 0.3))
        os.kill(worker, signal.SIGKILL)
        code = os.waitstatus_to_exitcode(os.waitpid(worker, 0)[1])
        assert code == -signal.SIGKILL, f"it ended by itself: {code}"


if __name__ == "__main__":
    main(*sys.argv[1:])
