"""`seamwise worker` as a process of its own: looking by itself, and woken by Celery on Redis."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
from collections.abc import Callable
from urllib.parse import urlsplit

import pytest

from seamwise.app.actor import SYSTEM
from seamwise.app.app import App
from seamwise.app.scrubs import NewScrub, start_scrub
from seamwise.storage.tables import JobState
from seamwise.worker.launch import environment_of
from tests.contract.adapters import address
from tests.contract.rows import add_job
from tests.worker.processes import until
from tests.worker.test_loop import TOY, add, counted
from tests.worker.tiny import job_of


def started(app: App, *options: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", "from seamwise.cli import main; main()", "worker", *options],
        env=environment_of(app.settings, 1) | {"PYTHONWARNINGS": "ignore"},
        stderr=subprocess.PIPE,
        text=True,
    )


def scrubbed(app: App, worker: subprocess.Popen[str]) -> None:
    """Rings for a job, sees it done, and stops the worker, which ends well."""
    try:
        job = start_scrub(app, SYSTEM, NewScrub())
        until(lambda: job_of(app, job.id).state is JobState.SUCCEEDED, 60)
    finally:
        worker.send_signal(signal.SIGTERM)
        _, said = worker.communicate(timeout=60)
    assert worker.returncode == 0, said
    assert "does the jobs of cpu" in said
    assert str(job_of(app, job.id).worker).split("-")[-2] == str(worker.pid)


def test_a_worker_finds_jobs_by_looking(app: App) -> None:
    scrubbed(app, started(app))


def test_without_redis_a_worker_finds_jobs_by_looking_too(make_app: Callable[..., App]) -> None:
    app = make_app(queue_url="redis://127.0.0.1:9/0", threads=1, lease_s=60.0)
    for _ in range(101):
        add_job(app.database, queue="gpu", priority=1)  # of no concern to this worker, and no hindrance
    scrubbed(app, started(app))


@pytest.fixture
def shared(make_app: Callable[..., App]) -> App:
    """A platform whose queue is a database of Redis that no other test uses."""
    server = urlsplit(address("SEAMWISE_TEST_REDIS"))
    own = server._replace(path=f"/{random.randrange(1, 16)}").geturl()
    return make_app(queue_url=own, threads=1, lease_s=60.0)


@pytest.mark.services
def test_celery_wakes_a_worker(shared: App) -> None:
    scrubbed(shared, started(shared, "--slots", "2"))


CONSUMING = """
import sys
from seamwise.app.app import open_app
from seamwise.settings import read_settings
from seamwise.worker.consumer import consume
from seamwise.worker.loop import Worker
consume(Worker(open_app(read_settings()), command=sys.argv[1:]))
"""


@pytest.mark.services
def test_a_consumer_that_stops_gives_its_job_back(shared: App) -> None:
    worker = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", CONSUMING, *TOY], env=environment_of(shared.settings, 1)
    )
    number = add(shared, steps=10**6, pause_s=0.01)
    shared.doorbell.ring(job_of(shared, number))
    until(lambda: counted(shared, number) > 5, 60)
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(60) == 0
    job = job_of(shared, number)
    assert (job.state, job.fruitless, job.checkpoint_sha256 is None) == (JobState.QUEUED, 0, False)
