"""The platform's ports, embedded, with tables and no rows."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from seamwise.app.app import App, open_app
from seamwise.settings import Settings
from tests.contract.conftest import embedded, migrated

__all__ = ["embedded", "migrated"]


@pytest.fixture
def settings(tmp_path: Path, embedded: Engine) -> Settings:
    """Of an embedded service in a folder of this test; override it to change some."""
    return Settings(data=tmp_path, import_folders=(str(tmp_path),))


@pytest.fixture
def app(settings: Settings) -> Iterator[App]:
    """The ports, with tables and no rows."""
    opened = open_app(settings)
    opened.objects.prepare()
    yield opened
    opened.database.dispose()
