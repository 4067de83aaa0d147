"""Uploads that are ended while something else happens to them, on every database."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from threading import Thread

import pytest
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from seamwise.app import uploads
from seamwise.app.actor import SYSTEM
from seamwise.app.app import App, open_app
from seamwise.app.files import shelf
from seamwise.app.uploads import AboutUpload, add_pieces, create_upload, end_upload, sweep
from seamwise.errors import SeamwiseError
from seamwise.settings import Settings
from seamwise.storage.columns import utc_now
from seamwise.storage.database import reading, writing
from seamwise.storage.tables import Job, Upload, UploadPart, UploadState
from tests.contract.adapters import url_of
from tests.contract.conftest import database, migrated

__all__ = ["database", "migrated"]


@pytest.fixture
def app(tmp_path: Path, database: Engine) -> Iterator[App]:
    opened = open_app(Settings(data=tmp_path, database_url=url_of(database), secret_key="s" * 32))
    opened.objects.prepare()
    yield opened
    opened.database.dispose()


def test_what_is_over_goes_with_all_its_pieces(app: App) -> None:
    over, kept = (create_upload(app, SYSTEM, 9, AboutUpload()).upload.id for _ in range(2))
    for upload_id in (over, kept):
        for place in range(3):
            with shelf(app) as objects:
                add_pieces(app, SYSTEM, objects, upload_id, place, [objects.put([bytes([place])])])
    with shelf(app) as objects:
        add_pieces(app, SYSTEM, objects, over, 3, [objects.put([b"of its own"[:1]])])
    with writing(app.database) as session:
        session.get_one(Upload, over).expires_at = utc_now() - timedelta(seconds=1)
    assert (sweep(app), sweep(app)) == (1, 0)
    with reading(app.database) as session:
        assert {part.upload_id for part in session.query(UploadPart)} == {kept}
    assert len(list(app.objects.listed())) == 3


def test_a_piece_that_comes_while_an_upload_is_ended_leaves_nothing(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last piece, between the look at the pieces and the upload's end: it would stay for ever, and its job fail."""
    upload = create_upload(app, SYSTEM, 2, AboutUpload()).upload
    with shelf(app) as objects:
        add_pieces(app, SYSTEM, objects, upload.id, 0, [objects.put([b"1"])])

    def send() -> None:
        with suppress(SeamwiseError), shelf(app) as objects:
            add_pieces(app, SYSTEM, objects, upload.id, 1, [objects.put([b"2"])])

    sender = Thread(target=send)
    drop = uploads.drop_parts

    def drop_slowly(session: Session, upload_id: str) -> set[str]:
        gone = drop(session, upload_id)
        sender.start()
        sender.join(0.5)
        return gone

    monkeypatch.setattr(uploads, "drop_parts", drop_slowly)
    end_upload(app, SYSTEM, upload.id)
    sender.join()
    with reading(app.database) as session:
        assert session.query(UploadPart).count() == session.query(Job).count() == 0
        assert session.query(Upload).one().state is UploadState.ABANDONED
    assert list(app.objects.listed()) == []
