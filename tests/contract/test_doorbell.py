"""Both doorbells: a ring reaches a worker with the job's number; a lost one loses nothing."""

from __future__ import annotations

import json
import logging
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

import pytest
from sqlalchemy import Engine

from seamwise.errors import UsageError
from seamwise.storage.database import writing
from seamwise.storage.tables import Job
from seamwise.tasks.attempts import claim
from seamwise.tasks.doorbell import Doorbell, LocalDoorbell, open_doorbell
from tests.contract.adapters import address
from tests.contract.rows import add_job

DOORBELLS = ["local", pytest.param("celery", marks=pytest.mark.services)]
Heard = Callable[[], list[int]]


def until(condition: Callable[[], bool], seconds: float = 30) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.02)
    return False


@contextmanager
def local(doorbell: LocalDoorbell) -> Iterator[Heard]:
    heard: list[int] = []
    stopping = False

    def listen() -> None:
        while not stopping:
            if (job_id := doorbell.wait(0.1)) is not None:
                heard.append(job_id)

    thread = Thread(target=listen)
    thread.start()
    yield lambda: heard
    stopping = True
    thread.join()


@contextmanager
def celery(url: str, queue: str, folder: Path) -> Iterator[Heard]:
    file = folder / "heard"
    file.touch()
    worker = subprocess.Popen(
        [sys.executable, "-W", "ignore", Path(__file__).with_name("listen.py"), url, queue, str(file)],
        stderr=subprocess.DEVNULL,
    )
    yield lambda: [int(line) for line in file.read_text().splitlines()]
    worker.terminate()
    worker.wait(30)


@pytest.fixture(params=DOORBELLS)
def bell(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Doorbell, str, Callable[[], object]]]:
    """A doorbell, a queue of the test's own, and how to listen to it."""
    queue = f"cpu-{secrets.token_hex(6)}"
    if request.param == "local":
        doorbell = open_doorbell("local:")
        assert isinstance(doorbell, LocalDoorbell)
        yield doorbell, queue, lambda: local(doorbell)
    else:
        url = address("SEAMWISE_TEST_REDIS")
        yield open_doorbell(url), queue, lambda: celery(url, queue, tmp_path)


def test_a_ring_reaches_a_worker_and_a_second_one_changes_nothing(bell: tuple, embedded: Engine) -> None:
    doorbell, queue, listening = bell
    first, second = add_job(embedded, queue=queue), add_job(embedded, queue=queue)
    doorbell.ring(first)  # nobody listens yet
    with listening() as heard:
        doorbell.ring(second)
        doorbell.ring(second)
        assert until(lambda: len(heard()) == 3), heard()
    assert heard() == [first.id, second.id, second.id]
    claims = []
    for job_id in heard():
        with writing(embedded) as session:
            claims.append(claim(session, "w", [queue], job_id))
    assert [job and job.id for job in claims] == [first.id, second.id, None]


def test_a_worker_hears_a_ring_soon(bell: tuple, embedded: Engine) -> None:
    doorbell, queue, listening = bell
    job = add_job(embedded, queue=queue)
    with listening() as heard:
        doorbell.ring(job)
        assert until(lambda: len(heard()) == 1)  # it listens now
        began = time.monotonic()
        doorbell.ring(job)
        assert until(lambda: len(heard()) == 2)
        assert time.monotonic() - began < 5


def test_without_a_ring_a_local_worker_looks_by_itself() -> None:
    began = time.monotonic()
    assert LocalDoorbell().wait(0.05) is None
    assert 0.04 < time.monotonic() - began < 5


def test_rings_that_nobody_hears_do_not_pile_up(embedded: Engine) -> None:
    doorbell, job = LocalDoorbell(), add_job(embedded)
    for _ in range(5000):
        doorbell.ring(job)
    rung = 0
    while doorbell.wait(0) is not None:
        rung += 1
    assert rung == 1000


def test_a_broker_that_is_away_costs_a_warning_and_no_job(embedded: Engine, caplog: pytest.LogCaptureFixture) -> None:
    pytest.importorskip("celery")
    job = add_job(embedded)
    began = time.monotonic()
    with caplog.at_level(logging.WARNING, logger="seamwise"):
        open_doorbell("redis://:hush@127.0.0.1:9/0").ring(job)
    assert time.monotonic() - began < 10
    assert f"no ring for job {job.id}" in caplog.text
    assert "hush" not in caplog.text
    with writing(embedded) as session:
        assert claim(session, "w", ["cpu"]).id == job.id


@pytest.mark.services
def test_a_message_holds_the_number_and_nothing_else(embedded: Engine) -> None:
    url, queue = address("SEAMWISE_TEST_REDIS"), f"cpu-{secrets.token_hex(6)}"
    job = add_job(embedded, queue=queue, spec={"secret": "hush"})
    open_doorbell(url).ring(job)
    import base64

    import redis

    with redis.Redis.from_url(url) as server:
        (message,) = server.lrange(f"seamwise.{queue}", 0, -1)
        server.delete(f"seamwise.{queue}")
    arguments, options, _ = json.loads(base64.b64decode(json.loads(message)["body"]))
    assert (arguments, options) == ([job.id], {})
    assert b"hush" not in message


@pytest.mark.parametrize("url", ["", "amqp://host", "/socket"])
def test_other_queues_are_usage_errors(url: str) -> None:
    with pytest.raises(UsageError, match="local: or redis://"):
        open_doorbell(url)


def test_a_ring_takes_a_job_alone() -> None:
    job = Job(kind="train", queue="cpu", spec={}, created_by="key/1")
    job.id = 7
    doorbell = LocalDoorbell()
    doorbell.ring(job)
    assert doorbell.wait(0) == 7
