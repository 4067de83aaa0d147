"""Both object stores: what is put comes back whole, or says that it does not."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import timedelta

import pytest
from obstore.exceptions import GenericError, PermissionDeniedError, UnauthenticatedError
from sqlalchemy import Engine

from seamwise.errors import NotFoundError, SeamwiseError, UsageError
from seamwise.storage.columns import utc_now
from seamwise.storage.database import writing
from seamwise.storage.faults import DamagedError, UnavailableError
from seamwise.storage.folder_store import FolderStore
from seamwise.storage.object_rows import commit_object, release_object
from seamwise.storage.object_store import ObjectStore, Stored, read_whole, verified
from seamwise.storage.objects import PART, S3Objects, open_objects
from seamwise.storage.upkeep import collect, scrub
from tests.contract.adapters import address


def keys(store: ObjectStore) -> set[str]:
    return {found.key for found in store.listed()}


def overwrite(store: ObjectStore, key: str, content: bytes) -> None:
    """What no caller of the port can do: changes stored bytes."""
    if isinstance(store, FolderStore):
        (store.folder / key).write_bytes(content)
        return
    import obstore

    assert isinstance(store, S3Objects)
    obstore.put(store._store, key, content)


@pytest.mark.parametrize("size", [0, 1, 100_000, PART - 1, PART, 2 * PART + 5])
def test_bytes_come_back_with_their_hash(store: ObjectStore, size: int) -> None:
    content = (b"0123456789abcdef" * (size // 16 + 1))[:size]
    chunks = (content[at : at + 700_001] for at in range(0, size, 700_001))
    stored = store.put(chunks)
    assert (stored.sha256, stored.size) == (hashlib.sha256(content).hexdigest(), size)
    assert read_whole(store, stored) == content
    assert keys(store) == {stored.key}


def test_a_key_is_used_once(store: ObjectStore) -> None:
    first, second = store.put([b"same"]), store.put([b"same"])
    assert first.sha256 == second.sha256
    assert first.key != second.key
    store.delete(first.key)
    assert read_whole(store, second) == b"same"


@pytest.mark.parametrize("error", [ZeroDivisionError, OSError, FileNotFoundError, KeyboardInterrupt])
@pytest.mark.parametrize("size", [10, PART + 10])
def test_a_sender_that_fails_leaves_nothing(store: ObjectStore, error: type[BaseException], size: int) -> None:
    def broken_off() -> Iterator[bytes]:
        for _ in range(size // 1000 + 1):
            yield b"x" * 1000
        raise error("gone")

    with pytest.raises(error, match="gone"):
        store.put(broken_off())
    assert keys(store) == set()


def test_changed_bytes_are_noticed(store: ObjectStore) -> None:
    for damage in (b"contenT", b"conten", b"contents", b""):
        stored = store.put([b"content"])
        overwrite(store, stored.key, damage)
        with pytest.raises(DamagedError, match=stored.key):
            list(verified(store, stored))


def test_parts_of_an_object_can_be_read(store: ObjectStore) -> None:
    key = store.put([b"0123456789"]).key
    assert [store.read_range(key, *span) for span in ((0, 3), (3, 4), (8, 9), (10, 1), (99, 1), (2, 0))] == [
        b"012",
        b"3456",
        b"89",
        b"",
        b"",
        b"",
    ]


def test_what_is_deleted_is_gone(store: ObjectStore) -> None:
    stored = store.put([b"content"])
    for _ in range(2):  # a repeated delete is no error
        store.delete(stored.key)
    for read in (lambda: read_whole(store, stored), lambda: store.read_range(stored.key, 0, 1)):
        with pytest.raises(NotFoundError):
            read()


@pytest.mark.parametrize("key", ["../secret", "/etc/passwd", "00/../../x", "", "00", "0" * 33, "ab/" + "g" * 30])
def test_only_keys_that_a_store_made_are_looked_for(store: ObjectStore, key: str) -> None:
    for action in (lambda: list(store.read(key)), lambda: store.read_range(key, 0, 1), lambda: store.delete(key)):
        with pytest.raises(NotFoundError, match="not a key"):
            action()


def test_preparing_twice_keeps_what_is_there(store: ObjectStore) -> None:
    stored = store.put([b"content"])
    store.prepare()
    assert read_whole(store, stored) == b"content"


def commit(database: Engine, stored: Stored) -> None:
    with writing(database) as session:
        commit_object(session, stored)


def test_old_bytes_without_a_row_are_collected(database: Engine, store: ObjectStore) -> None:
    kept, left = store.put([b"kept"]), store.put([b"left over"])
    commit(database, kept)
    assert collect(database, store) == 0  # they are young: their row may be on its way
    assert keys(store) == {kept.key, left.key}
    later = utc_now() + timedelta(days=8)
    assert collect(database, store, now=later) == 1
    assert keys(store) == {kept.key}


def test_scrubbing_finds_what_is_damaged_or_missing(database: Engine, store: ObjectStore) -> None:
    whole, damaged, missing = (store.put([content]) for content in (b"whole", b"damaged", b"missing"))
    for stored in (whole, damaged, missing):
        commit(database, stored)
    overwrite(store, damaged.key, b"DAMAGED")
    store.delete(missing.key)
    found = {result.stored: result.problem for result in scrub(database, store)}
    assert list(found) == sorted((whole, damaged, missing), key=lambda stored: stored.sha256)
    assert found[whole] is None
    assert "not those that were stored" in str(found[damaged])
    assert missing.key in str(found[missing])


def test_scrubbing_reports_nothing_that_was_let_go_of_meanwhile(database: Engine, store: ObjectStore) -> None:
    first, last = sorted((store.put([content]) for content in (b"one", b"two")), key=lambda stored: stored.sha256)
    commit(database, first)
    commit(database, last)
    found = scrub(database, store)
    assert next(found).stored == first
    with writing(database) as session:
        key = release_object(session, last.sha256)
    assert key is not None
    store.delete(key)
    assert list(found) == []


@pytest.mark.parametrize("url", ["", "/folder", "ftp://host/x", "s3://", "file://host/x", "s3://bucket?colour=red"])
def test_other_addresses_are_usage_errors(url: str) -> None:
    with pytest.raises(UsageError, match="write file:///folder or s3://"):
        open_objects(url)


def test_where_a_store_is_that_does_not_answer_stays_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    store = open_objects("s3://key:secret@bucket?endpoint=http://127.0.0.1:9&region=us-east-1")
    with pytest.raises(UnavailableError) as caught:
        store.put([b"content"])
    assert str(caught.value) == "the object store does not answer; try again"
    assert "http://127.0.0.1:9/bucket" in caplog.text
    assert "secret" not in caplog.text


@pytest.mark.parametrize("error", [FileNotFoundError, PermissionDeniedError, UnauthenticatedError, GenericError])
def test_a_stores_own_words_are_not_told(error: type[Exception], caplog: pytest.LogCaptureFixture) -> None:
    store = open_objects("s3://key:secret@bucket?endpoint=http://127.0.0.1:9&region=us-east-1")
    assert isinstance(store, S3Objects)
    with pytest.raises(SeamwiseError) as caught, store._told("object 00"):
        raise error("AKIA1 at http://inner:9000/bucket")
    assert not any(word in str(caught.value) for word in ("AKIA1", "inner", "bucket"))
    assert isinstance(caught.value.__cause__, error)
    assert ("inner" in caplog.text) == (error is not FileNotFoundError)


@pytest.mark.services
def test_a_wrong_secret_is_not_an_outage() -> None:
    server = address("SEAMWISE_TEST_S3")
    account = server.removeprefix("s3://").partition(":")[0]
    store = open_objects(f"s3://{account}:wrong@{server.partition('@')[2]}")
    with pytest.raises(SeamwiseError, match="refuses its access key") as caught:
        store.put([b"content"])
    assert not isinstance(caught.value, UnavailableError)
    assert "wrong" not in str(caught.value)
