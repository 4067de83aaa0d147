"""A worker's ear: `python listen.py URL QUEUE FILE` writes the number of each job rung for to a file."""

from __future__ import annotations

import sys
from pathlib import Path

from seamwise.tasks.celery import consumer, queue_name


def main(url: str, queue: str, file: str) -> None:
    def on_ring(job_id: int) -> None:
        with Path(file).open("a") as heard:
            heard.write(f"{job_id}\n")

    app = consumer(url, on_ring)
    app.worker_main(["worker", "--pool=solo", f"--queues={queue_name(queue)}", "--loglevel=error", "--without-mingle"])


if __name__ == "__main__":
    main(*sys.argv[1:])
