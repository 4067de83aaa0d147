"""A worker that is woken by Celery on Redis; what it does is the jobs table's matter, as with any other."""

from __future__ import annotations

import logging
from threading import Thread
from typing import Any

from celery.signals import worker_shutting_down  # type: ignore[import-untyped]

from seamwise.storage.faults import UnavailableError
from seamwise.tasks.celery import consumer, queue_name
from seamwise.worker.loop import Worker

LOG = logging.getLogger(__name__)


def consume(worker: Worker) -> None:
    """Does a job for each ring, until the process is told to stop (SIGTERM or SIGINT): jobs are given back then.

    A ring stands for one job but need not be for the one that is most urgent: that one is taken.
    """

    def on_ring(_job_id: int) -> None:
        try:
            if not worker.stopping.is_set():
                worker.work()
        except UnavailableError as error:  # the job still waits, and is rung for again when it has waited too long
            LOG.warning("%s", error)

    def stop(**_: Any) -> None:
        worker.stopping.set()

    celery = consumer(worker.app.settings.queue_url, on_ring)
    worker_shutting_down.connect(stop, weak=False)
    keeper = Thread(target=worker.keep, name="worker-keeper")
    keeper.start()
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
        keeper.join()
