"""A client of the real API, answered by a real server in a thread."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvicorn
from sqlalchemy import Engine

from seamwise.app.actor import SYSTEM
from seamwise.app.app import App, open_app
from seamwise.app.keys import NewKey, create_key
from seamwise.client import Client
from seamwise.settings import Settings
from seamwise.storage.tables import Role
from seamwise.web.main import create_app
from tests.contract.conftest import embedded, migrated

__all__ = ["embedded", "migrated"]


@pytest.fixture
def app(tmp_path: Path, embedded: Engine) -> Iterator[App]:
    """The ports of an embedded service, with tables and no rows."""
    opened = open_app(Settings(data=tmp_path, rate_limit="", import_folders=(str(tmp_path),)))
    opened.objects.prepare()
    yield opened
    opened.database.dispose()


@pytest.fixture
def address(app: App) -> Iterator[str]:
    """Where the service answers."""
    web = create_app(app)
    server = uvicorn.Server(uvicorn.Config(web, host="127.0.0.1", port=0, log_config=None, lifespan="on"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.005)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield f"http://127.0.0.1:{port}"
    web.state.closing.set()
    server.should_exit = True
    thread.join()


@pytest.fixture
def client(app: App, address: str) -> Iterator[Client]:
    """The client, with the key of an admin."""
    key = create_key(app, SYSTEM, NewKey(name="test", role=Role.ADMIN)).token
    with Client(address, key, patience_s=5.0) as made:
        yield made
