"""Both databases: what the migrations make is what the tables say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import Engine, inspect, text

from seamwise.errors import RefusedError
from seamwise.storage import schema
from seamwise.storage.database import WRITES
from tests.contract import adapters
from tests.contract.rows import at_once


def described(database: Engine) -> dict[str, Any]:
    """All of the tables that matters, in an order of its own, by kind and table."""
    look = inspect(database)
    return {
        "columns": each(look.get_multi_columns(), "name", "type", "nullable", "default"),
        "keys": {table: key["constrained_columns"] for (_, table), key in look.get_multi_pk_constraint().items()},
        "references": each(look.get_multi_foreign_keys(), "name", "constrained_columns", "referred_table"),
        "unique": each(look.get_multi_unique_constraints(), "name", "column_names"),
        "checks": each(look.get_multi_check_constraints(), "name", "sqltext"),
        "indexes": each(look.get_multi_indexes(), "name", "column_names", "unique", "dialect_options"),
    }


def each(found: Mapping[Any, Sequence[Any]], *names: str) -> dict[str, list[dict[str, str]]]:
    """The named properties as text; `alembic_version` is not among the tables."""
    return {
        table: sorted(({name: said(item.get(name)) for name in names} for item in items), key=lambda item: item["name"])
        for (_, table), items in found.items()
        if table != "alembic_version"
    }


def said(value: Any) -> str:
    return str({key: str(part) for key, part in value.items() if part != []} if isinstance(value, dict) else value)


@contextmanager
def database_from_tables(like: Engine, folder: Any) -> Iterator[Engine]:
    postgresql = like.dialect.name == "postgresql"
    with adapters.postgresql_database() if postgresql else adapters.sqlite_file(folder) as database:
        with database.connect().execution_options(**{WRITES: True}) as connection, connection.begin():
            schema.METADATA.create_all(connection)
        yield database


def test_migrations_make_what_the_tables_say(database: Engine, tmp_path_factory: pytest.TempPathFactory) -> None:
    assert schema.check(database) == []
    with database_from_tables(database, tmp_path_factory.mktemp("tables")) as expected:
        migrated, wanted = described(database), described(expected)
    migrated["keys"].pop("alembic_version")
    assert len(wanted["keys"]) == 26
    for kind in wanted:
        assert migrated[kind] == wanted[kind]


def test_an_upgrade_makes_the_tables_once(empty_database: Engine) -> None:
    with pytest.raises(RefusedError, match="seamwise db upgrade"):
        schema.require_current(empty_database)
    done = schema.upgrade(empty_database)
    assert (done.before, done.after, done.backup) == (None, "0001", None)
    assert schema.upgrade(empty_database).before == "0001"
    schema.require_current(empty_database)


def test_processes_that_upgrade_at_once_wait_for_each_other(empty_database: Engine) -> None:
    done = at_once(4, lambda _: schema.upgrade(empty_database))
    assert [result.after for result in done] == ["0001"] * 4
    assert schema.check(empty_database) == []


def test_a_schema_from_a_later_version_is_refused(empty_database: Engine) -> None:
    database = empty_database
    schema.upgrade(database)
    with database.connect().execution_options(**{WRITES: True}) as connection, connection.begin():
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    for action in (schema.upgrade, schema.require_current):
        with pytest.raises(RefusedError, match=r"later version .revision 9999"):
            action(database)
    assert schema.check(database) == ["schema 9999, but this version has 0001"]


def test_a_broken_off_upgrade_leaves_the_old_schema(empty_database: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    upgrade = schema.command.upgrade

    def breaks_off(*arguments: Any) -> None:
        upgrade(*arguments)
        raise KeyboardInterrupt

    monkeypatch.setattr(schema.command, "upgrade", breaks_off)
    with pytest.raises(KeyboardInterrupt):
        schema.upgrade(empty_database)
    assert inspect(empty_database).get_table_names() == []


def test_check_finds_what_was_changed_by_hand(empty_database: Engine) -> None:
    database = empty_database
    schema.upgrade(database)
    drop = "DROP TRIGGER audit_event_no_delete" + (" ON audit_event" if database.dialect.name == "postgresql" else "")
    with database.connect().execution_options(**{WRITES: True}) as connection, connection.begin():
        connection.execute(text(drop))
        connection.execute(text("ALTER TABLE key DROP COLUMN name"))
    problems = schema.check(database)
    assert any("audit_event: the trigger" in problem for problem in problems)
    assert any("'key'" in problem and "'name'" in problem for problem in problems)
    assert len(problems) == 2
