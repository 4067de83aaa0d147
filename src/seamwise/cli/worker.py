"""`seamwise worker`: does the jobs of a platform whose API runs elsewhere."""

from __future__ import annotations

import signal
from threading import Event
from typing import Annotated

import typer

from seamwise.app.app import open_app
from seamwise.app.logs import set_up_logs
from seamwise.app.promotion import gate_settings
from seamwise.cli.console import say
from seamwise.settings import read_settings
from seamwise.storage.schema import require_current
from seamwise.worker.loop import Worker


def worker(
    queues: Annotated[
        list[str] | None, typer.Option("--queue", help="Whose jobs to do: cpu (the default) or gpu (repeatable).")
    ] = None,
    slots: Annotated[int, typer.Option(min=1, help="Jobs at the same time.")] = 1,
) -> None:
    """Do jobs until stopped (Ctrl-C or SIGTERM); what runs then is left at a checkpoint and given back.

    With a Redis queue it is woken by Celery; without one it looks at the jobs table every second.
    """
    settings = read_settings()
    gate_settings(settings)  # a wrong threshold stops the process now, and no job later
    set_up_logs(settings)
    app = open_app(settings)
    require_current(app.database)
    app.objects.prepare()
    doing = Worker(app, queues=queues or ["cpu"], slots=slots)
    say(f"worker {doing.name} does the jobs of {', '.join(doing.queues)}; stop it with Ctrl-C")
    if settings.queue_url.startswith("redis"):
        from seamwise.worker.consumer import consume  # only a cluster has Celery installed

        consume(doing)
        return
    told = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: told.set())
    doing.start()
    told.wait()
    doing.stop()
