from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from seamwise.app.app import App, open_app
from seamwise.settings import Settings
from tests.contract.conftest import embedded, migrated
from tests.web.caller import Caller, open_api

__all__ = ["embedded", "migrated"]


@pytest.fixture
def settings(tmp_path: Path, embedded: Engine) -> Settings:
    """Of an embedded service in a folder of this test; override it to change some."""
    return Settings(data=tmp_path, rate_limit="", import_folders=(str(tmp_path),))


@pytest.fixture
def app(settings: Settings) -> Iterator[App]:
    """The ports, with tables and no rows."""
    opened = open_app(settings)
    opened.objects.prepare()
    yield opened
    opened.database.dispose()


@pytest.fixture
def api(app: App) -> Caller:
    """The API, called with the key of an admin; `api.of(Role.VIEWER)` calls it with another."""
    return open_api(app)
