"""Every adapter of every port, ready for one test: fresh, empty, and gone afterwards."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from sqlalchemy import BigInteger, Engine, create_engine, make_url, text

from seamwise.storage.database import open_database
from seamwise.storage.object_store import ObjectStore
from seamwise.storage.objects import open_objects
from seamwise.storage.schema import METADATA, upgrade

DATABASES = ["sqlite", pytest.param("postgresql", marks=pytest.mark.services)]
STORES = ["folder", pytest.param("s3", marks=pytest.mark.services)]


def address(variable: str) -> str:
    """Where a server is; without the variable the test is skipped, or fails where skips are failures."""
    if found := os.environ.get(variable):
        return found
    if os.environ.get("SEAMWISE_TEST_SERVICES") == "required":
        pytest.fail(f"{variable} is not set, and SEAMWISE_TEST_SERVICES=required")
    pytest.skip(f"{variable} names no server")


def url_of(database: Engine) -> str:
    return database.url.render_as_string(hide_password=False)


@contextmanager
def opened(url: str) -> Iterator[Engine]:
    database = open_database(url)
    yield database
    database.dispose()


@contextmanager
def sqlite_file(folder: Path) -> Iterator[Engine]:
    """A database without tables."""
    with opened(f"sqlite:///{folder / 'seamwise.db'}") as database:
        yield database


@contextmanager
def postgresql_database() -> Iterator[Engine]:
    """A database without tables."""
    server = make_url(address("SEAMWISE_TEST_POSTGRES")).set(drivername="postgresql+psycopg")
    name = f"seamwise_test_{secrets.token_hex(6)}"
    admin = create_engine(server, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
        try:
            with opened(server.set(database=name).render_as_string(hide_password=False)) as database:
                yield database
        finally:
            connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    admin.dispose()


class Migrated:
    """Databases with tables and no rows: a SQLite file is copied for each test, a PostgreSQL database emptied."""

    def __init__(self, folder: Path, open_until_the_end: ExitStack) -> None:
        self._file = folder / "template.db"
        with opened(f"sqlite:///{self._file}") as database:
            upgrade(database)
        self._stack = open_until_the_end
        self._server: Engine | None = None

    @contextmanager
    def database(self, kind: str, folder: Path) -> Iterator[Engine]:
        if kind == "postgresql":
            yield self._emptied()
            return
        shutil.copyfile(self._file, folder / "seamwise.db")
        with sqlite_file(folder) as database:
            yield database

    def _emptied(self) -> Engine:
        if self._server is None:
            self._server = self._stack.enter_context(postgresql_database())
            upgrade(self._server)
            return self._server
        with self._server.begin() as connection:
            for table in reversed(METADATA.sorted_tables):
                connection.execute(text(f'ALTER TABLE "{table.name}" DISABLE TRIGGER USER'))
                connection.execute(text(f'DELETE FROM "{table.name}"'))
                connection.execute(text(f'ALTER TABLE "{table.name}" ENABLE TRIGGER USER'))
                if isinstance(table.primary_key.columns[0].type, BigInteger) and "id" in table.columns:
                    connection.execute(text(f"ALTER SEQUENCE {table.name}_id_seq RESTART"))
        return self._server


@contextmanager
def store(kind: str, folder: Path) -> Iterator[ObjectStore]:
    """An empty object store."""
    url = f"file://{folder / 'objects'}"
    if kind == "s3":
        server, _, options = address("SEAMWISE_TEST_S3").partition("?")
        url = f"{server.rstrip('/')}/{secrets.token_hex(8)}?{options}"
    opened_store = open_objects(url)
    opened_store.prepare()
    yield opened_store
    for found in list(opened_store.listed()):
        opened_store.delete(found.key)
