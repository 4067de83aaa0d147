"""The doorbell over Celery on Redis. A message is a job's number and nothing else."""

from __future__ import annotations

import logging
from collections.abc import Callable

from celery import Celery  # type: ignore[import-untyped]

from seamwise.storage.tables import Job

TASK = "seamwise.ring"
_log = logging.getLogger(__name__)


class CeleryDoorbell:
    """Rings through a Redis server."""

    def __init__(self, url: str) -> None:
        self._app = celery_app(url)

    def ring(self, job: Job) -> None:
        once_more = {"max_retries": 1, "interval_start": 0.0, "interval_step": 0.0}  # a connection may have grown stale
        try:
            self._app.send_task(TASK, args=[job.id], queue=queue_name(job.queue), retry=True, retry_policy=once_more)
        except Exception as error:  # the client's and the transport's errors share no base
            _log.warning("no ring for job %d (%s): a worker finds it when it looks by itself", job.id, error)


def consumer(url: str, on_ring: Callable[[int], None]) -> Celery:
    """The Celery application of a worker, which calls `on_ring` with the number of each job rung for.

    Run it with `worker_main(["worker", "--pool=solo", "--queues=" + queue_name("cpu")])` or the like.
    """
    app = celery_app(url)
    app.task(name=TASK)(on_ring)
    return app


def celery_app(url: str) -> Celery:
    """Celery as both sides need it."""
    app = Celery("seamwise", broker=url, set_as_current=False)
    app.conf.update(
        task_ignore_result=True,
        # Acknowledged before the work begins: what happens to a job is in its row, and workers look by themselves too.
        task_acks_late=False,
        worker_prefetch_multiplier=1,
        worker_disable_prefetch=True,  # a busy worker keeps no ring from an idle one
        task_serializer="json",
        accept_content=["json"],
        broker_connection_retry_on_startup=True,
        broker_connection_timeout=2.0,
        broker_transport_options={"socket_connect_timeout": 2.0, "socket_timeout": 5.0, "max_retries": 1},
        worker_hijack_root_logger=False,
        worker_send_task_events=False,
    )
    return app


def queue_name(queue: str) -> str:
    """The name in the broker of a queue of jobs."""
    return f"seamwise.{queue}"
