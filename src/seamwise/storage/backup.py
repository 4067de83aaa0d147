"""Copies a SQLite database while others use it."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import Engine

from seamwise.errors import RefusedError, SeamwiseError, UsageError


def back_up(database: Engine, target: Path) -> Path:
    """Copies all that is committed to a new file, which appears whole or not at all, and gives its path.

    To restore, put the copy in the place of the database while nothing runs, without its `-wal` and `-shm` files.
    Raises UsageError for PostgreSQL (its own tool does it better), RefusedError when `target` exists.
    """
    if database.dialect.name != "sqlite":
        raise UsageError("PostgreSQL is backed up with its own tool: pg_dump --format=custom --file=FILE URL")
    if target.exists():
        raise RefusedError(f"{target} exists: choose another name")
    beside = target.with_name(f".part-{target.name}")
    try:
        _copy(str(database.url.database), beside)
        beside.replace(target)
        _sync(target.parent)
    except (sqlite3.Error, OSError) as error:
        with suppress(OSError):
            beside.unlink()
        raise SeamwiseError(f"cannot back up to {target}: {error}; free space or choose another folder") from error
    return target


def stamped(database: Engine, revision: str) -> Path:
    """A name beside the database for its content at a revision."""
    file = Path(str(database.url.database))
    return file.with_name(f"{file.name}.{revision}.{datetime.now(UTC):%Y%m%dT%H%M%S%fZ}.backup")


def _copy(source: str, target: Path) -> None:
    with closing(sqlite3.connect(source)) as live, closing(sqlite3.connect(target)) as copy:
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
