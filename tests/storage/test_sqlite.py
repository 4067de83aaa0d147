"""What only a SQLite file has: its settings, its backup, and its damage."""

from __future__ import annotations

import sqlite3
from contextlib import closing, nullcontext
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest
from sqlalchemy import Engine, event, func, select, text

from seamwise.errors import NotFoundError, RefusedError, SeamwiseError, UsageError
from seamwise.storage import database as database_module
from seamwise.storage import schema
from seamwise.storage.audit import record
from seamwise.storage.backup import back_up
from seamwise.storage.database import WRITES, open_database, reading, writing
from seamwise.storage.faults import FullError, UnavailableError
from seamwise.storage.tables import AuditEvent
from tests.contract.adapters import opened


def file_of(database: Engine) -> Path:
    return Path(str(database.url.database))


def events(path: Path) -> int:
    with closing(sqlite3.connect(path)) as copy:
        return copy.execute("SELECT count(*) FROM audit_event").fetchone()[0]


def test_every_connection_keeps_what_is_committed(embedded: Engine) -> None:
    wanted = {
        "journal_mode": "wal",
        "synchronous": 2,
        "foreign_keys": 1,
        "busy_timeout": 30_000,
        "recursive_triggers": 1,
    }
    for transaction in (reading, writing):
        with transaction(embedded) as session:
            assert {name: session.scalar(text(f"PRAGMA {name}")) for name in wanted} == wanted


def test_replacing_a_record_is_refused_like_changing_it(embedded: Engine) -> None:
    with writing(embedded) as session:
        record(session, "a", "b", "c")
    with pytest.raises(Exception, match="append-only"), writing(embedded) as session:
        session.execute(
            text("REPLACE INTO audit_event SELECT id, 'x', action, subject, details, request_id, at FROM audit_event")
        )


def test_a_writing_transaction_holds_the_lock_from_its_beginning(
    embedded: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database_module, "BUSY_TIMEOUT_S", 0.05)
    with writing(embedded), opened(f"sqlite:///{file_of(embedded)}") as impatient:  # nothing is written yet
        with reading(impatient) as session:
            assert session.scalars(select(AuditEvent)).all() == []
        with pytest.raises(UnavailableError, match="try again") as caught, writing(impatient):
            pass
        assert "locked" in str(caught.value.__cause__)


def test_a_missing_table_is_not_an_outage(tmp_path: Path) -> None:
    with opened(f"sqlite:///{tmp_path / 'new' / 'seamwise.db'}") as database:
        with pytest.raises(Exception, match="no such table") as caught, reading(database) as session:
            session.scalars(select(AuditEvent)).all()
        assert not isinstance(caught.value, SeamwiseError)


@pytest.mark.parametrize("nested", [False, True])
def test_a_full_disk_is_told_as_what_it_is(embedded: Engine, nested: bool) -> None:
    @event.listens_for(embedded, "connect")
    def full(connection: sqlite3.Connection, _record: Any) -> None:
        connection.execute("PRAGMA max_page_count = 1")

    def fill() -> None:
        with writing(embedded) as session:
            for _ in range(2000):
                with session.begin_nested() if nested else nullcontext():
                    record(session, "a", "b", "c", {"filler": "x" * 3000})
                    session.flush()

    embedded.dispose()
    with pytest.raises(FullError, match="disk is full: free some space"):
        fill()


@pytest.mark.parametrize("url", ["", "x", "mysql://host/x", "sqlite://", "sqlite:///:memory:"])
def test_other_addresses_are_usage_errors(url: str) -> None:
    with pytest.raises(UsageError, match="sqlite:////folder"):
        open_database(url)


def test_a_server_that_is_gone_without_a_word_is_noticed() -> None:
    told: dict[str, Any] = {}

    def seen(_dialect: object, _record: object, _words: object, options: dict[str, Any]) -> None:
        told.update(options)
        raise UsageError("enough is known")

    engine = open_database("postgresql://u:p@127.0.0.1:1/x")
    event.listen(engine, "do_connect", seen)
    with pytest.raises(UsageError), engine.connect():
        pass
    wait_s = told["keepalives_idle"] + told["keepalives_interval"] * told["keepalives_count"]
    assert (told["connect_timeout"], wait_s, told["tcp_user_timeout"]) == (5, 30, 30_000)


def test_where_a_server_is_that_does_not_answer_stays_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    address = "postgresql://person:hush@127.0.0.1:9/films"
    with opened(address) as database, pytest.raises(UnavailableError) as caught, reading(database):
        pass
    assert str(caught.value) == "the database does not answer; try again"
    assert "127.0.0.1" in str(caught.value.__cause__)
    assert "person:***@127.0.0.1:9/films does not answer: connection" in caplog.text
    assert "hush" not in caplog.text


# Backup


def test_a_backup_taken_while_others_write_is_whole(embedded: Engine, tmp_path: Path) -> None:
    stop, target = Event(), tmp_path / "copy.db"

    def write() -> None:
        while not stop.is_set():
            with writing(embedded) as session:
                record(session, "a", "b", "c", {"filler": "x" * 2000})

    writer = Thread(target=write)
    writer.start()
    try:
        while events(file_of(embedded)) < 3:
            pass
        assert back_up(embedded, target) == target
    finally:
        stop.set()
        writer.join()
    assert 3 <= events(target) <= events(file_of(embedded))
    assert {path.name for path in tmp_path.iterdir()} >= {"copy.db"}
    assert not list(tmp_path.glob("copy.db-*"))
    assert not list(tmp_path.glob(".part-*"))
    assert target.stat().st_mode & 0o777 == 0o600
    with opened(f"sqlite:///{target}") as copy:
        assert schema.check(copy) == []


def test_a_backup_overwrites_nothing_and_leaves_nothing_half_done(embedded: Engine, tmp_path: Path) -> None:
    (tmp_path / "old.db").write_text("kept")
    with pytest.raises(RefusedError, match=r"old\.db exists"):
        back_up(embedded, tmp_path / "old.db")
    assert (tmp_path / "old.db").read_text() == "kept"
    with pytest.raises(SeamwiseError, match="cannot back up"):
        back_up(embedded, tmp_path / "no folder" / "copy.db")
    with opened("postgresql://127.0.0.1:9/x") as server, pytest.raises(UsageError, match="pg_dump"):
        back_up(server, tmp_path / "copy.db")


def test_a_database_that_is_not_there_is_not_backed_up(tmp_path: Path) -> None:
    with opened(f"sqlite:///{tmp_path / 'none.db'}") as nothing, pytest.raises(NotFoundError, match="no database"):
        back_up(nothing, tmp_path / "copy.db")
    assert list(tmp_path.iterdir()) == []


def test_an_upgrade_copies_the_old_content_first(embedded: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    with writing(embedded) as session:
        record(session, "a", "b", "c")
    with embedded.connect().execution_options(**{WRITES: True}) as connection, connection.begin():
        connection.execute(text("UPDATE alembic_version SET version_num = '0000'"))
    script = schema._script()
    monkeypatch.setattr(schema, "_refuse_unknown", lambda *_: None)
    monkeypatch.setattr(schema, "_script", lambda: script)

    def migrate(config: object, _target: str) -> None:
        config.attributes["connection"].execute(text("UPDATE alembic_version SET version_num = '0001'"))

    monkeypatch.setattr(schema.command, "upgrade", migrate)
    done = schema.upgrade(embedded)
    assert (done.before, done.after) == ("0000", "0001")
    assert done.backup is not None
    assert done.backup.name.startswith("seamwise.db.0000.")
    assert events(done.backup) == 1
    with closing(sqlite3.connect(done.backup)) as copy:
        assert copy.execute("SELECT version_num FROM alembic_version").fetchone() == ("0000",)
    assert schema.revision(embedded) == "0001"


# Damage


def test_check_finds_a_damaged_file_and_a_row_that_names_nothing(embedded: Engine) -> None:
    with writing(embedded) as session:
        for number in range(500):
            record(session, "a", "b", f"job/{number}")
    embedded.dispose()
    with closing(sqlite3.connect(file_of(embedded))) as raw:
        raw.execute(
            "INSERT INTO alias (name, model_id, sequence, changed_at) VALUES ('production', 7, 1, '2026-01-01')"
        )
        raw.commit()
        raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        page = raw.execute("SELECT rootpage FROM sqlite_master WHERE name = 'ix_audit_event_subject_id'").fetchone()[0]
        size = raw.execute("PRAGMA page_size").fetchone()[0]
    with file_of(embedded).open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(b"\xff" * 100)
    problems = schema.check(embedded)
    assert any(problem.startswith("file: ") for problem in problems)
    assert "alias row 1: names a row of model_version that is not there" in problems


def test_an_engine_is_usable_by_several_threads(embedded: Engine) -> None:
    from tests.contract.rows import at_once

    def write(_: int) -> None:
        with writing(embedded) as session:
            record(session, "a", "b", "c")

    assert at_once(6, write) == [None] * 6
    with reading(embedded) as session:
        assert session.scalar(select(func.count()).select_from(AuditEvent)) == 6
