"""Copies a SQLite database while others use it."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import Engine

from seamwise.errors import NotFoundError, RefusedError, SeamwiseError, UsageError


def back_up(database: Engine, target: Path) -> Path:
    """Copies all that is committed to a new file, which appears whole or not at all, and gives its path.

    To restore, put the copy in the place of the database while nothing runs, without its `-wal` and `-shm` files.
    Raises UsageError for PostgreSQL (its own tool does it better), NotFoundError when there is no database to copy,
    RefusedError when `target` exists.
    """
    source = source_of(database)
    if target.exists():
        raise RefusedError(f"{target} exists: choose another name")
    beside = target.with_name(f".part-{target.name}")
    try:
        _copy(source, beside)
        beside.replace(target)
        _sync(target.parent)
    except (sqlite3.Error, OSError) as error:
        with suppress(OSError):
            beside.unlink()
        raise SeamwiseError(f"cannot back up to {target}: {error}; free space or choose another folder") from error
    return target


def source_of(database: Engine) -> Path:
    """The file of the database that is to be copied; raises as `back_up` does."""
    if database.dialect.name != "sqlite":
        raise UsageError("PostgreSQL is backed up with its own tool: pg_dump --format=custom --file=FILE URL")
    source = Path(str(database.url.database))
    if not source.is_file():
        raise NotFoundError(f"{source}: there is no database to copy; see SEAMWISE_DATABASE_URL and SEAMWISE_DATA")
    return source


def stamped(database: Engine, revision: str) -> Path:
    """A name beside the database for its content at a revision."""
    file = Path(str(database.url.database))
    return file.with_name(f"{file.name}.{revision}.{datetime.now(UTC):%Y%m%dT%H%M%S%fZ}.backup")


def _copy(source: Path, target: Path) -> None:
    address = f"{source.absolute().as_uri()}?mode=rw"  # opening it makes no file
    with closing(sqlite3.connect(address, uri=True)) as live, closing(sqlite3.connect(target)) as copy:
        live.backup(copy)
        copy.execute("PRAGMA journal_mode = DELETE")  # one file, without a log beside it
    target.chmod(0o600)
    _sync(target)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
