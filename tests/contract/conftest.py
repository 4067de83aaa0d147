"""Fixtures over all adapters of a port."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from sqlalchemy import Engine

from seamwise.storage.object_store import ObjectStore
from tests.contract import adapters


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "services: needs a server (SEAMWISE_TEST_POSTGRES, ..._REDIS or ..._S3 names it)"
    )


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[adapters.Migrated]:
    with ExitStack() as stack:
        yield adapters.Migrated(tmp_path_factory.mktemp("migrated"), stack)


@pytest.fixture(params=adapters.DATABASES)
def database(request: pytest.FixtureRequest, migrated: adapters.Migrated, tmp_path: Path) -> Iterator[Engine]:
    """A database with tables and no rows."""
    with migrated.database(request.param, tmp_path) as found:
        yield found


@pytest.fixture
def embedded(migrated: adapters.Migrated, tmp_path: Path) -> Iterator[Engine]:
    """A SQLite database with tables and no rows, for what concerns one adapter or none."""
    with migrated.database("sqlite", tmp_path) as found:
        yield found


@pytest.fixture(params=adapters.DATABASES)
def empty_database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    """A database without tables."""
    postgresql = request.param == "postgresql"
    with adapters.postgresql_database() if postgresql else adapters.sqlite_file(tmp_path) as found:
        yield found


@pytest.fixture(params=adapters.STORES)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ObjectStore]:
    """An empty object store."""
    with adapters.store(request.param, tmp_path) as found:
        yield found
