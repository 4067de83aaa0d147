"""The database's schema: bring it up to date, compare it with the tables, refuse one from a later version."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DatabaseError

from seamwise.errors import RefusedError
from seamwise.storage.backup import back_up, stamped
from seamwise.storage.columns import Row
from seamwise.storage.database import WRITES, answering
from seamwise.storage.tables import APPEND_ONLY

METADATA = Row.metadata
_LOCK = 0x5EA3  # PostgreSQL's advisory lock of whoever migrates


@dataclass(frozen=True)
class Upgrade:
    """What an upgrade did: revisions before (None: it was empty) and after, and where the old content was copied."""

    before: str | None
    after: str
    backup: Path | None


def upgrade(database: Engine) -> Upgrade:
    """Brings a database to the tables of this version, in one transaction; a second process waits and finds it done.

    A SQLite file with content is copied beside itself first; a PostgreSQL database is not (`pg_dump` does that). Raises
    RefusedError for a schema from a later version.
    """
    script = _script()
    head = str(script.get_current_head())
    before = revision(database)
    if before == head:
        return Upgrade(before, head, None)
    _refuse_unknown(script, before)
    backup = back_up(database, stamped(database, before)) if before and database.dialect.name == "sqlite" else None
    writes = {WRITES: True}
    with answering(database), database.connect().execution_options(**writes) as connection, connection.begin():
        if database.dialect.name == "postgresql":
            connection.execute(text(f"SELECT pg_advisory_xact_lock({_LOCK})"))
        command.upgrade(_config(connection), "head")
    return Upgrade(before, head, backup)


def revision(database: Engine) -> str | None:
    """The revision of a database's schema; None: it has none yet."""
    with answering(database), database.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision()


def require_current(database: Engine) -> None:
    """Raises RefusedError, with the way out, unless the schema is that of this version."""
    script = _script()
    found = revision(database)
    _refuse_unknown(script, found)
    if found != script.get_current_head():
        has = "the tables of an earlier version" if found else "no tables yet"
        raise RefusedError(f"the database has {has}: run `seamwise db upgrade`")


def check(database: Engine) -> list[str]:
    """What is wrong with a database: its schema, the triggers of append-only tables, and for SQLite the file itself."""
    script = _script()
    try:
        found = revision(database)
        if found != script.get_current_head():
            return [f"schema {found or 'empty'}, but this version has {script.get_current_head()}"]
        with answering(database), database.connect() as connection:
            problems = [f"differs from the tables: {difference}" for difference in differences(connection)]
            problems += [f"{name}: the trigger that protects it is gone" for name in _unprotected(connection)]
            return problems + (_damage(connection) if database.dialect.name == "sqlite" else [])
    except DatabaseError as error:  # the file is too damaged to be looked at
        return [f"file: {error.orig}"]


def _damage(connection: Connection) -> list[str]:
    found = []
    try:
        broken = connection.execute(text("PRAGMA foreign_key_check")).all()
        found += [f"{row[0]} row {row[1]}: names a row of {row[2]} that is not there" for row in broken]
        found += [f"file: {line}" for line in connection.scalars(text("PRAGMA integrity_check")) if line != "ok"]
    except DatabaseError as error:
        found.append(f"file: {error.orig}")
    return found


def differences(connection: Connection) -> list[object]:
    """What a migration would still have to change, as Alembic compares the database with the tables."""
    context = MigrationContext.configure(connection, opts={"compare_type": True})
    return list(compare_metadata(context, METADATA))


def _unprotected(connection: Connection) -> list[str]:
    query = {
        "sqlite": "SELECT name FROM sqlite_master WHERE type = 'trigger'",
        "postgresql": "SELECT tgname FROM pg_trigger WHERE NOT tgisinternal AND tgenabled = 'O'",
    }[connection.dialect.name]
    found = set(connection.scalars(text(query)))
    names = [table.__tablename__ for table in APPEND_ONLY]
    return [name for name in names if not {f"{name}_no_update", f"{name}_no_delete"} <= found]


def _refuse_unknown(script: ScriptDirectory, found: str | None) -> None:
    known = {step.revision for step in script.walk_revisions()}
    if found is not None and found not in known:
        raise RefusedError(
            f"the database has tables of a later version (revision {found}): run that version, or restore the backup "
            "made before it was upgraded"
        )


def _script() -> ScriptDirectory:
    return ScriptDirectory.from_config(_config(None))


def _config(connection: Connection | None) -> Config:
    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config
