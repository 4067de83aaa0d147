"""A platform in a folder, for workers and their children."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from seamwise.app.app import App, open_app
from seamwise.settings import Settings
from tests.contract import adapters
from tests.contract.conftest import migrated

__all__ = ["app", "make_app", "migrated"]


@pytest.fixture
def make_app(migrated: adapters.Migrated, tmp_path: Path) -> Iterator[Callable[..., App]]:
    """Makes the embedded platform, with other settings where given."""
    opened: list[App] = []

    def make(**settings: object) -> App:
        folder = tmp_path / str(len(opened))
        folder.mkdir()
        with migrated.database("sqlite", folder):
            app = open_app(Settings(data=folder, **settings))  # type: ignore[arg-type]
        app.objects.prepare()
        opened.append(app)
        return app

    yield make
    for app in opened:
        app.database.dispose()


@pytest.fixture
def app(make_app: Callable[..., App]) -> App:
    return make_app(threads=1, lease_s=3.0)


@pytest.fixture(autouse=True)
def not_nice(monkeypatch: pytest.MonkeyPatch) -> None:
    """Children as urgent as the test that waits for them."""
    monkeypatch.setattr("seamwise.worker.loop.NICE", 0)
