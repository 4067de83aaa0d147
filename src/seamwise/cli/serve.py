"""`seamwise serve`: the whole platform in one process, or the API of a cluster."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Annotated

import typer

from seamwise.app import live
from seamwise.app.app import App, open_app
from seamwise.app.keys import keep_first_key
from seamwise.app.logs import set_up_logs
from seamwise.app.promotion import gate_settings
from seamwise.settings import read_settings
from seamwise.storage.schema import require_current, upgrade
from seamwise.web.main import create_app
from seamwise.web.server import run
from seamwise.worker.loop import Worker


def serve(
    host: Annotated[
        str | None, typer.Option(help="Address to listen on (default: SEAMWISE_HOST, else 127.0.0.1).")
    ] = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Port; 0 takes a free one (default: SEAMWISE_PORT, else 8000).")
    ] = None,
    worker: Annotated[
        bool | None,
        typer.Option("--worker/--no-worker", help="Run jobs here too (default: unless the queue is Redis)."),
    ] = None,
) -> None:
    """Serve the API; without any setting also the database, the objects and a worker, all in one folder."""
    given = {"host": host, "port": port}
    settings = read_settings().model_copy(update={name: value for name, value in given.items() if value is not None})
    gate_settings(settings)  # a wrong threshold stops the process now, and no job later
    set_up_logs(settings)
    app = open_app(settings)
    key_file = _prepare(app)
    server = live.open_server(app, settings.data / "models")
    with ExitStack() as running:
        running.callback(server.close)
        running.callback(live.start(app, server).stop)
        if settings.queue_url.startswith("local:") if worker is None else worker:
            doing = Worker(app)
            doing.start()
            running.callback(doing.stop)
        run(create_app(app, server=server), settings.host, settings.port, lambda address: _tell(address, key_file))


def _prepare(app: App) -> str | None:
    """Makes everything there that an embedded service needs; the file with the admin key, if it keeps one."""
    settings = app.settings
    if not settings.embedded:
        require_current(app.database)
        settings.signing_key()
        app.objects.prepare()
        return None
    upgrade(app.database)
    app.objects.prepare()
    return str(keep_first_key(app))


def _tell(address: str, key_file: str | None) -> None:
    print(f"Seamwise answers at {address}", flush=True)
    if key_file:
        print(f"the admin's key is in {key_file}", flush=True)
    else:
        print("make keys with `seamwise keys make NAME --role ROLE`", flush=True)
