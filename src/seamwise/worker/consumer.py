"""A worker that is woken by Celery on Redis; what it does is the jobs table's matter, as with any other."""

from __future__ import annotations

import logging
from threading import Semaphore, Thread
from typing import Any

from celery.signals import worker_shutting_down  # type: ignore[import-untyped]

from seamwise.storage.faults import UnavailableError
from seamwise.tasks.celery import consumer, queue_name
from seamwise.worker.loop import Worker

LOG = logging.getLogger(__name__)
LOOK_EVERY_S = 5.0  # rings are quicker; this finds the jobs whose ring is lost


def consume(worker: Worker) -> None:
    """Does jobs until the process is told to stop (SIGTERM or SIGINT): they are given back then.

    A ring stands for one job but need not be for the one that is most urgent: that one is taken. The worker looks at
    the jobs table by itself too, so that with Redis away jobs only begin later.
    """
    slots = Semaphore(worker.slots)

    def does_one() -> bool:
        """Does the most urgent job; False when there is none, or no slot is free."""
        if worker.stopping.is_set() or not slots.acquire(blocking=False):
            return False
        try:
            return worker.work()
        except UnavailableError as error:  # the job still waits
            LOG.warning("%s", error)
        except Exception:  # the worker outlives any one job
            LOG.exception("a job could not be attended to")
        finally:
            slots.release()
        return False

    def look() -> None:
        while not worker.stopping.wait(LOOK_EVERY_S):
            while does_one():
                pass

    def on_ring(_job_id: int) -> None:
        does_one()

    def stop(**_: Any) -> None:
        worker.stopping.set()

    celery = consumer(worker.app.settings.queue_url, on_ring)
    worker_shutting_down.connect(stop, weak=False)
    threads = [Thread(target=loop, name="worker-keeper") for loop in (worker.keep, *[look] * worker.slots)]
    for thread in threads:
        thread.start()
    try:
        celery.worker_main(
            [
                *("worker", "--pool=threads", f"--concurrency={worker.slots}", f"--hostname={worker.name}@%h"),
                f"--queues={','.join(queue_name(queue) for queue in worker.queues)}",
                *("--loglevel=warning", "--without-mingle", "--without-gossip", "--without-heartbeat"),
            ]
        )
    finally:
        worker.stopping.set()
        for thread in threads:
            thread.join()
