"""Opens a database by its URL, and runs transactions on it: `reading` ones, and `writing` ones that never wait in vain.

On SQLite a transaction that reads first and writes later can fail half-way when another has written meanwhile, so that
writing transactions take the write lock when they begin (BEGIN IMMEDIATE) and wait for each other there.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy.exc
from sqlalchemy import URL, Connection, CursorResult, Engine, Executable, create_engine, event, make_url
from sqlalchemy.orm import ORMExecuteState, Session, UOWTransaction

from seamwise.errors import RefusedError, UsageError
from seamwise.storage.faults import FullError, UnavailableError
from seamwise.storage.tables import APPEND_ONLY

LOG = logging.getLogger(__name__)
BUSY_TIMEOUT_S = 30.0
WRITES = "seamwise_writes"  # the execution option that makes a transaction a writing one
_URLS = "write sqlite:////folder/file.db or postgresql://user:password@host/name"


def open_database(url: str) -> Engine:
    """The database at a URL: `sqlite:////folder/file.db` or `postgresql://user:password@host/name`.

    Makes the folder of a SQLite file; opens no connection yet. Raises UsageError for any other URL.
    """
    try:
        parsed = make_url(url)
    except sqlalchemy.exc.ArgumentError as error:
        raise UsageError(f"the database URL cannot be read; {_URLS}") from error
    match parsed.get_backend_name():
        case "sqlite":
            return _open_sqlite(parsed)
        case "postgresql" | "postgres":
            return _open_postgresql(parsed)
    raise UsageError(f"no database of the kind {parsed.drivername}; {_URLS}")


def _open_sqlite(url: URL) -> Engine:
    if not url.database or url.database == ":memory:":
        raise UsageError("a SQLite database needs a file that several processes can open: sqlite:////folder/file.db")
    Path(url.database).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(url.set(drivername="sqlite+pysqlite"), connect_args={"timeout": BUSY_TIMEOUT_S})
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: sqlite3.Connection, _record: Any) -> None:
    connection.isolation_level = None  # the driver would begin transactions where it likes
    for pragma in (
        f"busy_timeout = {int(BUSY_TIMEOUT_S * 1000)}",
        "journal_mode = WAL",
        "synchronous = FULL",  # with WAL, NORMAL loses the last commits in a power cut
        "foreign_keys = ON",
        "recursive_triggers = ON",  # else REPLACE deletes rows past the triggers of append-only tables
    ):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get(WRITES, False)
    connection.exec_driver_sql(f"PRAGMA query_only = {'OFF' if writes else 'ON'}")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _open_postgresql(url: URL) -> Engine:
    # A server that is gone without a word is noticed within half a minute, whether it was being sent to or waited for.
    alive = {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 4, "tcp_user_timeout": 30_000}
    # pool_pre_ping: connections that a restart of the server broke are replaced before they are used.
    return create_engine(
        url.set(drivername="postgresql+psycopg"), pool_pre_ping=True, connect_args={"connect_timeout": 5, **alive}
    )


@contextmanager
def reading(database: Engine) -> Iterator[Session]:
    """A transaction that sees one state of the database and writes nothing.

    Rows stay usable after it. Raises UnavailableError when the database does not answer.
    """
    options = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
    with _session(database, options if database.dialect.name == "postgresql" else {}) as session:
        yield session


@contextmanager
def writing(database: Engine) -> Iterator[Session]:
    """A transaction that commits at its end, or not at all when an error leaves it; keep slow work out of it.

    Raises UnavailableError when the database does not answer, as for `reading`. An error of the commit itself may hide
    that it succeeded: what is tried again must be idempotent.
    """
    with _session(database, {WRITES: True}) as session:
        yield session


@contextmanager
def _session(database: Engine, options: dict[str, Any]) -> Iterator[Session]:
    with (
        answering(database),
        RecordKeeping(database, expire_on_commit=False) as session,
        session.begin(),
    ):
        session.connection(execution_options=options)
        yield session


@contextmanager
def answering(database: Engine) -> Iterator[None]:
    """Turns the driver's errors of a database that does not answer into UnavailableError, of a full disk FullError."""
    try:
        yield
    except (sqlalchemy.exc.OperationalError, sqlalchemy.exc.InterfaceError, sqlalchemy.exc.TimeoutError) as error:
        cause = getattr(error, "orig", error)
        if _is_full(error):
            LOG.error("the disk of the database %s is full: %s", database.url.render_as_string(), cause)
            raise FullError("the database's disk is full: free some space on it") from error
        if getattr(cause, "sqlite_errorcode", None) == sqlite3.SQLITE_ERROR:
            raise  # a mistake in a statement or a missing table: waiting does not help
        # The message goes to clients and into jobs: where the database is stays in the log.
        LOG.warning("the database %s does not answer: %s", database.url.render_as_string(), cause)
        raise UnavailableError("the database does not answer; try again") from error


def _is_full(error: BaseException | None) -> bool:
    """Whether an error comes of a full disk; SQLite ends the transaction then, and the end of a savepoint hides it."""
    while error is not None:
        cause = getattr(error, "orig", error)
        if (
            getattr(cause, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL
            or getattr(cause, "sqlstate", None) == "53100"
        ):
            return True
        error = error.__context__
    return False


def changed(session: Session, statement: Executable) -> int:
    """Runs an UPDATE, DELETE or INSERT and counts the rows it changed: the heart of a compare-and-set."""
    done = session.execute(statement, execution_options={"synchronize_session": False})
    assert isinstance(done, CursorResult)
    return done.rowcount


class RecordKeeping(Session):
    """A session that changes no row of an append-only table; the triggers of the database hold against all others."""


@event.listens_for(RecordKeeping, "do_orm_execute")
def _refuse_statements(state: ORMExecuteState) -> None:
    if (state.is_update or state.is_delete) and state.bind_mapper and state.bind_mapper.class_ in APPEND_ONLY:
        raise RefusedError(f"{state.bind_mapper.class_.__tablename__}: its rows are records and never change")


@event.listens_for(RecordKeeping, "before_flush")
def _refuse_changes(session: Session, _context: UOWTransaction, _instances: Any) -> None:
    for row in (*session.dirty, *session.deleted):
        if isinstance(row, APPEND_ONLY) and (row in session.deleted or session.is_modified(row)):
            raise RefusedError(f"{row.__tablename__}: its rows are records and never change")
