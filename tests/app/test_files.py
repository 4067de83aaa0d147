"""Objects put and committed, or gone again."""

from __future__ import annotations

from pathlib import Path

import pytest

from seamwise.app.app import App
from seamwise.app.files import as_file, chunks_of, fetch, shelf, store_bytes
from seamwise.errors import NotFoundError, RefusedError
from seamwise.storage.database import writing
from seamwise.storage.faults import DamagedError, UnavailableError
from seamwise.storage.object_rows import commit_object, find_object
from seamwise.storage.object_store import Stored
from seamwise.storage.tables import StoredObject


def keys(app: App) -> set[str]:
    return {found.key for found in app.objects.listed()}


def committed(app: App, stored: Stored) -> Stored:
    with writing(app.database) as session:
        commit_object(session, stored)
    return stored


def test_a_file_comes_back_as_it_was_stored(app: App, tmp_path: Path) -> None:
    (tmp_path / "in").write_bytes(b"x" * 3_000_000)
    stored = committed(app, app.objects.put(chunks_of(tmp_path / "in")))
    fetch(app, stored.sha256, tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == b"x" * 3_000_000


def test_damaged_bytes_never_take_the_files_name(app: App, tmp_path: Path) -> None:
    stored = committed(app, store_bytes(app, b"content"))
    (tmp_path / "objects" / stored.key).write_bytes(b"CONTENT")
    (tmp_path / "out").write_bytes(b"before")
    with pytest.raises(DamagedError):
        fetch(app, stored.sha256, tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == b"before"
    assert not list(tmp_path.glob(".part-*"))


def test_what_is_not_stored_cannot_be_fetched(app: App, tmp_path: Path) -> None:
    for sha256 in ("0" * 64, "", "../../etc/passwd"):
        with pytest.raises(NotFoundError):
            fetch(app, sha256, tmp_path / "out")


def test_a_shelf_keeps_what_is_committed_and_deletes_the_rest(app: App) -> None:
    with shelf(app) as objects:
        kept, copy, unused = (objects.put([content]) for content in (b"a", b"a", b"b"))
        with writing(app.database) as session:
            objects.commit(session, kept)
            objects.commit(session, copy)
    assert keys(app) == {kept.key}
    assert unused.key not in keys(app)


def test_a_refusal_leaves_no_bytes(app: App) -> None:
    def refused() -> None:
        with shelf(app) as objects:
            stored = objects.put([b"a"])
            with writing(app.database) as session:
                objects.commit(session, stored)
                raise RefusedError("no")

    with pytest.raises(RefusedError):
        refused()
    assert keys(app) == set()


def test_an_unknown_end_of_the_commit_keeps_what_a_row_may_name(app: App) -> None:
    put: list[Stored] = []

    def cut_off() -> None:
        with shelf(app) as objects:
            put.extend(objects.put([content]) for content in (b"a", b"b"))
            with writing(app.database) as session:
                objects.commit(session, put[0])
            raise UnavailableError("the answer to the commit got lost")

    with pytest.raises(UnavailableError):
        cut_off()
    stored, other = put
    with writing(app.database) as session:
        assert find_object(session, stored.sha256) == stored
        assert session.query(StoredObject).count() == 1
    assert keys(app) == {stored.key}
    assert other.key not in keys(app)


def test_bytes_become_a_file_for_a_while(tmp_path: Path) -> None:
    with as_file(b"content") as path:
        assert path.read_bytes() == b"content"
    assert not path.exists()
    (tmp_path / "own").write_bytes(b"content")
    with as_file(tmp_path / "own") as path:
        assert path == tmp_path / "own"
    assert path.exists()
