"""Rows of stored bytes: the commit of a content, finding it, and letting go of it."""

from __future__ import annotations

import re

from sqlalchemy import delete, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from seamwise.errors import NotFoundError
from seamwise.storage.database import changed
from seamwise.storage.object_store import Stored
from seamwise.storage.rows import insert_unless_there
from seamwise.storage.tables import StoredObject

_SHA256 = re.compile(r"[0-9a-f]{64}")


def commit_object(session: Session, stored: Stored) -> bool:
    """Makes bytes that were put count, from this transaction's commit on; other rows name them by their hash.

    False: the same content had a row, which stays; the bytes just put are a copy to delete after the commit.
    """
    # A row that is there is locked, so that nobody lets go of it before this transaction names it.
    held = select(StoredObject.sha256).where(StoredObject.sha256 == stored.sha256)
    held = held.with_for_update(read=True, key_share=True)
    while not insert_unless_there(session, StoredObject(sha256=stored.sha256, key=stored.key, size=stored.size)):
        if session.scalar(held) is not None:
            return False
    return True


def find_object(session: Session, sha256: str) -> Stored:
    """Where the content of a hash is kept; NotFoundError when it has no row."""
    row = session.get(StoredObject, sha256) if _SHA256.fullmatch(sha256) else None
    if row is None:
        raise NotFoundError(f"object {sha256[:64]!r}: nothing with this sha256 is stored")
    return Stored(row.key, row.sha256, row.size)


def release_object(session: Session, sha256: str) -> str | None:
    """Deletes the row of a content that no other row names any more; call it after taking the reference away.

    Returns the key of the bytes to delete after the commit, or None while others name the content.
    """
    session.flush()
    # Locked: of two that let go at once, the second sees that the first has.
    key = session.scalar(select(StoredObject.key).where(StoredObject.sha256 == sha256).with_for_update())
    try:
        with session.begin_nested():  # the refusal of a foreign key must not end the whole transaction
            gone = changed(session, delete(StoredObject).where(StoredObject.sha256 == sha256))
    except IntegrityError:
        return None
    return key if gone else None
