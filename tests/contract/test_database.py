"""Both databases: transactions, column types, pages, rows that never change."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from sqlalchemy import Engine, delete, func, select, text, update
from sqlalchemy.exc import DBAPIError, StatementError
from sqlalchemy.orm import Session

from seamwise.errors import BadInputError, NotFoundError, RefusedError, SeamwiseError
from seamwise.storage.audit import record
from seamwise.storage.columns import utc_now
from seamwise.storage.database import reading, writing
from seamwise.storage.object_rows import commit_object, find_object, release_object
from seamwise.storage.rows import page
from seamwise.storage.tables import (
    APPEND_ONLY,
    Alias,
    AliasAction,
    AliasHistory,
    Annotation,
    AuditEvent,
    Domain,
    Image,
    Key,
    ModelVersion,
    Origin,
    QualificationSet,
    Role,
    Side,
    Snapshot,
    SnapshotItem,
    SnapshotKind,
    Source,
    StoredObject,
    Upload,
)
from tests.contract.rows import at_once, stored


def fill(session: Session) -> Image:
    """One row of all that a promoted model hangs on."""
    for name in ("image", "mask", "weights"):
        commit_object(session, stored(name))
    domain = Domain(name="steel", modality="radiography", classes=["background", "crack"], created_by="key/1")
    session.add(domain)
    session.flush()
    image = Image(
        sha256=stored("image").sha256,
        object_sha256=stored("image").sha256,
        domain_id=domain.id,
        source=Source.OFFLINE,
        width=4,
        height=3,
        bits=16,
        side=Side.TEST,
        received_by="key/1",
    )
    snapshot = Snapshot(kind=SnapshotKind.QUALIFICATION, digest="0", size=1, spec={}, created_by="key/1")
    session.add_all([image, snapshot])
    session.flush()
    mask = Annotation(
        image_id=image.id, number=1, origin=Origin.DRAWN, mask_sha256=stored("mask").sha256, made_by="key/1"
    )
    model = ModelVersion(
        line="main",
        number=1,
        snapshot_id=snapshot.id,
        strategy={"name": "si"},
        spec={},
        engine="torch",
        weights_sha256=stored("weights").sha256,
        environment={},
        created_by="key/1",
    )
    session.add_all([mask, model])
    session.flush()
    session.add_all(
        [
            SnapshotItem(snapshot_id=snapshot.id, position=0, image_id=image.id, annotation_id=mask.id, side=Side.TEST),
            QualificationSet(
                domain_id=domain.id, number=1, snapshot_id=snapshot.id, reason="first", created_by="key/1"
            ),
            Alias(name="production", model_id=model.id, sequence=1),
            AliasHistory(
                alias="production",
                sequence=1,
                action=AliasAction.PROMOTED,
                from_id=None,
                to_id=model.id,
                reason="first",
                actor="key/1",
            ),
        ]
    )
    record(session, "key/1", "alias.promote", "alias/production", {"to": model.id})
    return image


def test_rows_come_back_as_they_were_written(database: Engine) -> None:
    with writing(database) as session:
        made = fill(session)
    with reading(database) as session:
        image = session.get_one(Image, made.id)
        assert image is not made
        assert (image.source, image.side, image.bits) == (Source.OFFLINE, Side.TEST, 16)
        assert session.scalars(select(Domain.classes)).one() == ["background", "crack"]
        assert session.scalars(select(AuditEvent.details)).one() == {"to": 1}
        assert abs(image.received_at - utc_now()) < timedelta(minutes=1)


def test_times_keep_their_instant_and_come_back_in_utc(database: Engine) -> None:
    beijing = datetime(2026, 3, 1, 2, 30, 0, 123456, tzinfo=timezone(timedelta(hours=8)))
    with writing(database) as session:
        session.add(Key(name="a", hash="h", role=Role.VIEWER, created_by="x", expires_at=beijing))
    with reading(database) as session:
        key = session.scalars(select(Key)).one()
        assert key.expires_at == beijing
        assert key.expires_at.tzinfo is UTC
        assert session.scalars(select(Key).where(Key.expires_at < beijing + timedelta(microseconds=1))).one()
        assert session.scalars(select(Key).where(Key.expires_at < beijing)).all() == []


def test_a_time_without_a_zone_is_refused(database: Engine) -> None:
    with pytest.raises(StatementError, match="needs its zone"), writing(database) as session:
        session.add(Key(name="a", hash="h", role=Role.VIEWER, created_by="x", expires_at=datetime(2026, 3, 1)))


def test_json_is_stored_as_its_canonical_text(database: Engine) -> None:
    with writing(database) as session:
        record(session, "a", "b", "c", {"z": [1.5, None], "a": "\ud800\0钢"})
    with reading(database) as session:
        written = session.scalar(text("SELECT details FROM audit_event"))
        assert written == '{"a":"\\ud800\\u0000\\u94a2","z":[1.5,null]}'
        assert session.scalars(select(AuditEvent.details)).one() == {"z": [1.5, None], "a": "\ud800\0钢"}


def test_json_has_no_nan(database: Engine) -> None:
    with pytest.raises(StatementError, match="not JSON compliant"), writing(database) as session:
        record(session, "a", "b", "c", {"loss": float("nan")})


def test_text_that_postgresql_cannot_hold_is_replaced_on_both(database: Engine) -> None:
    with writing(database) as session:
        record(session, "a\0b", "焊缝", "half \ud800")
    with reading(database) as session:
        event = session.scalars(select(AuditEvent).where(AuditEvent.actor == "a\0b")).one()
        assert (event.actor, event.action, event.subject) == ("a\N{REPLACEMENT CHARACTER}b", "焊缝", "half ?")


def test_an_error_leaves_nothing_behind(database: Engine) -> None:
    def broken_off() -> None:
        with writing(database) as session:
            fill(session)
            session.flush()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        broken_off()
    with reading(database) as session:
        assert session.scalars(select(StoredObject)).all() == []


def test_a_reading_transaction_cannot_write(database: Engine) -> None:
    with pytest.raises((SeamwiseError, DBAPIError)), reading(database) as session:
        commit_object(session, stored("a"))
    with writing(database) as session:  # and the connection it used can write again
        record(session, "a", "b", "c")


def test_a_reading_transaction_sees_one_state(database: Engine) -> None:
    with reading(database) as session:
        assert session.scalar(select(func.count()).select_from(AuditEvent)) == 0
        with writing(database) as other:
            record(other, "a", "b", "c")
        assert session.scalar(select(func.count()).select_from(AuditEvent)) == 0


def test_writing_transactions_that_read_first_do_not_fail_each_other(database: Engine) -> None:
    def read_then_write(number: int) -> None:
        with writing(database) as session:
            session.scalar(select(func.count()).select_from(AuditEvent))
            record(session, f"key/{number}", "b", "c")

    assert at_once(8, read_then_write) == [None] * 8


def test_references_must_exist(database: Engine) -> None:
    with pytest.raises(DBAPIError), writing(database) as session:
        session.add(Alias(name="production", model_id=7, sequence=1))


@pytest.mark.parametrize("statement", ["UPDATE {} SET {} = {}", "DELETE FROM {}"])
@pytest.mark.parametrize("table", APPEND_ONLY, ids=lambda table: table.__tablename__)
def test_records_never_change_in_the_database(database: Engine, table: type, statement: str) -> None:
    with writing(database) as session:
        fill(session)
    column = next(iter(table.__table__.primary_key)).name
    with pytest.raises(DBAPIError, match="append-only"), writing(database) as session:
        session.connection().exec_driver_sql(statement.format(table.__tablename__, column, column))


@pytest.mark.parametrize("table", APPEND_ONLY, ids=lambda table: table.__tablename__)
def test_records_never_change_through_the_application(database: Engine, table: type) -> None:
    with writing(database) as session:
        fill(session)
    column = next(iter(table.__table__.columns))
    for statement in (delete(table), update(table).values({column.name: column})):
        with pytest.raises(RefusedError, match=table.__tablename__), writing(database) as session:
            session.execute(statement)
    with pytest.raises(RefusedError, match=table.__tablename__), writing(database) as session:
        session.delete(session.scalars(select(table)).one())
    with pytest.raises(RefusedError, match=table.__tablename__), writing(database) as session:
        setattr(session.scalars(select(table)).one(), column.name, 99)


def test_a_number_is_never_given_twice(database: Engine) -> None:
    def add() -> int:
        with writing(database) as session:
            key = Key(name="a", hash="h", role=Role.ADMIN, created_by="x")
            session.add(key)
        return key.id

    first = add()
    with writing(database) as session:
        session.execute(delete(Key))
    assert add() > first


def test_pages_walk_a_list_that_grows_meanwhile(database: Engine) -> None:
    def add(count: int) -> None:
        with writing(database) as session:
            for _ in range(count):
                record(session, "a", "b", "c")

    add(25)
    seen, cursor = [], None
    while True:
        with reading(database) as session:
            found = page(session, select(AuditEvent), AuditEvent.id, cursor=cursor, limit=10)
        seen += [event.id for event in found.items]
        add(3)
        if (cursor := found.next) is None:
            break
    assert seen == list(range(25, 0, -1))
    with reading(database) as session:
        oldest = page(session, select(AuditEvent), AuditEvent.id, cursor="4", limit=2, newest_first=False)
        assert [event.id for event in oldest.items] == [5, 6]


@pytest.mark.parametrize("cursor", ["", "x", "-1", "1.0", "٣", "1 OR 1=1", str(2**63), "9" * 400])
def test_a_cursor_that_no_page_gave_is_bad_input(database: Engine, cursor: str) -> None:
    with pytest.raises(BadInputError, match="cursor"), reading(database) as session:
        page(session, select(AuditEvent), AuditEvent.id, cursor=cursor)


def test_one_content_has_one_row(database: Engine) -> None:
    def commit(number: int) -> bool:
        with writing(database) as session:
            same = stored("same")
            return commit_object(session, type(same)(f"00/{number:030x}", same.sha256, same.size))

    results = at_once(6, commit)
    assert sorted(results) == [False] * 5 + [True]
    with reading(database) as session:
        assert find_object(session, stored("same").sha256).key == f"00/{results.index(True):030x}"
        with pytest.raises(NotFoundError, match="nothing with this sha256"):
            find_object(session, "../etc/passwd")


def test_a_content_is_let_go_only_when_nothing_names_it(database: Engine) -> None:
    with writing(database) as session:
        image = fill(session)
    sha256 = stored("image").sha256
    with writing(database) as session:
        assert release_object(session, sha256) is None
        record(session, "a", "b", "c")  # the transaction goes on
    with writing(database) as session:
        image = session.get_one(Image, image.id)
        image.object_sha256, image.deleted_at, image.deleted_by = None, utc_now(), "key/1"
        assert release_object(session, sha256) == stored("image").key
    with reading(database) as session:
        assert session.get(StoredObject, sha256) is None
        assert session.scalars(select(Image.sha256)).one() == sha256  # the tombstone


def test_a_content_that_one_lets_go_of_while_another_names_it_stays_for_that_one(database: Engine) -> None:
    content = stored("same")

    def name_and_let_go(number: int) -> None:
        for turn in range(10):
            upload = Upload(id=f"{number}-{turn}", about={}, created_by="key/1", expires_at=utc_now())
            with writing(database) as session:
                key = f"{number:02x}/{turn:030x}"
                commit_object(session, type(content)(key, content.sha256, content.size))
                upload.object_sha256 = content.sha256
                session.add(upload)
            with writing(database) as session:
                session.get_one(Upload, upload.id).object_sha256 = None
                release_object(session, content.sha256)

    assert at_once(4, name_and_let_go) == [None] * 4
    with reading(database) as session:
        assert session.get(StoredObject, content.sha256) is None


def test_an_image_without_bytes_is_a_tombstone(database: Engine) -> None:
    with writing(database) as session:
        image = fill(session)
    with pytest.raises(DBAPIError, match="tombstone"), writing(database) as session:
        session.get_one(Image, image.id).object_sha256 = None
